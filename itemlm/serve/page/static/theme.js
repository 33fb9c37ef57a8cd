/* Light or dark: as the system has it, unless the button was used. Runs before the first paint. */
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const kept = () => {
    try { return localStorage.getItem("itemlm-theme"); } catch { return null; }
  };
  const apply = () => {
    const theme = kept() ?? (system.matches ? "dark" : "light");
    root.dataset.theme = theme;
    document.getElementById("theme")?.setAttribute("aria-pressed", String(theme === "dark"));
    document.dispatchEvent(new Event("itemlm:theme"));
  };
  apply();
  system.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", () => {
    apply();
    document.getElementById("theme").addEventListener("click", () => {
      const next = root.dataset.theme === "dark" ? "light" : "dark";
      try { localStorage.setItem("itemlm-theme", next); } catch { root.dataset.theme = next; }
      apply();
    });
  });
})();
