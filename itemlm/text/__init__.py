"""Text: catalog rows as sentences, for everything that reads items instead of counting them.

`describe.describe` renders a catalog; the templates that it knows by name are plain files in
`templates/`.
"""
