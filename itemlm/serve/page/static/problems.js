/* When an exchange fails, the page stays as it is and a line at its foot says why. */

const bar = document.getElementById("problem-bar");

function message(text, status) {
  try {
    return JSON.parse(text).error.message;
  } catch {
    return `The service answered with an error (${status}).`;
  }
}

document.addEventListener("htmx:response:error", (event) => {
  const { response, text } = event.detail.ctx;
  if (response.status === 401) location.reload(); // the server shows the way to the login form
  else bar.textContent = `${message(text, response.status)} What you see is from before.`;
});
document.addEventListener("htmx:error", () => {
  bar.textContent = "The service cannot be reached. What you see is from before.";
});
document.addEventListener("htmx:before:swap", (event) => {
  if (event.detail.ctx.response.status < 400) bar.textContent = "";
});
