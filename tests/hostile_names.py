"""Names of files, classes and people that would act where they are shown."""

# Markdown, HTML, and what Streamlit makes of text.
HOSTILE = (
    "![x](https://example.invalid/x.png)",
    "[click](https://example.invalid/)",
    "![x][1] [1]: https://example.invalid/x.png",
    "<img src=https://example.invalid/x.png onerror=alert(1)>",
    "<https://example.invalid/>",
    "https://example.invalid/x.png",
    "HTTP://example.invalid/x.png",
    "www.example.invalid/x.png",
    "ada@example.invalid",
    "mailto:ada@example.invalid",
    ":material/check: :smile: :streamlit: :red[x] :red-badge[y] -> <- --",
    "# heading",
    "1. first",
    "- item",
    "> quote",
    "    code",
    "`code` **bold** _slanted_ ~~gone~~ $x^2$ $$y$$",
    r"\![x](https://example.invalid/x.png) \\[y](https://example.invalid)",
    "| a | b | |---|---| | ![x](https://example.invalid/x.png) | d |",
    "&#33;[x](https://example.invalid/x.png) &lt;b&gt;",
    "***",
    "===",
    "[^1] [ ] [x] ^sup^",
)
# What steers a terminal, turns text around, breaks lines, is rich's markup, or runs in a
# spreadsheet.
STEERING = (
    "a\x1b[2Jb",
    "\x1b]0;title\x07",
    "\x9b31mred",
    "a\nmedloop: all is well",
    "a\r\tb\x0b\x0c\x85c\u2028d",
    "\u202egnp.exe",
    "\u2066\u200f\u061cmarks\ufeff",
    "[red]x[/red] [link=https://example.invalid/]y[/link] [/]",
    "=HYPERLINK(1)",
    "+1",
    "-2+3",
    "@SUM(1)",
    "＝1+1",
)
NASTY = (*HOSTILE, *STEERING)
