// WhatsApp's own formatting, as nodes: *bold* _italic_ ~strike~ `code` and
// ```mono```, lists, quotes and links.
import { h } from "./dom.js";

const spans = [
  { mark: "```", tag: "code", raw: true },
  { mark: "`", tag: "code", raw: true },
  { mark: "*", tag: "strong" },
  { mark: "_", tag: "em" },
  { mark: "~", tag: "s" },
];
const link = /\bhttps?:\/\/[^\s<>"]+[^\s<>".,;:!?)\]]/g;
const edge = (c) => !c || /[\s.,;:!?¡¿()[\]{}"'«»…*_~`-]/.test(c);

/** format turns a text into nodes. */
export function format(text) {
  const out = [];
  const lines = text.split("\n");
  lines.forEach((line, i) => {
    if (i) out.push("\n");
    if (/^> /.test(line)) out.push(h("span", { class: "quoted-line" }, ...inline(line.slice(2))));
    else if (/^[-*•] /.test(line)) out.push("• ", ...inline(line.slice(2)));
    else out.push(...inline(line));
  });
  return out;
}

function inline(text) {
  for (let i = 0; i < text.length; i++) {
    for (const s of spans) {
      if (!text.startsWith(s.mark, i) || !edge(text[i - 1])) continue;
      const from = i + s.mark.length;
      let to = text.indexOf(s.mark, from);
      while (to > 0 && !edge(text[to + s.mark.length])) to = text.indexOf(s.mark, to + 1);
      if (to <= from) continue;
      const inner = text.slice(from, to);
      if (inner !== inner.trim()) continue;
      return [...links(text.slice(0, i)), h(s.tag, null, ...(s.raw ? [inner] : inline(inner))), ...inline(text.slice(to + s.mark.length))];
    }
  }
  return links(text);
}

function links(text) {
  const out = [];
  let at = 0;
  for (const m of text.matchAll(link)) {
    out.push(text.slice(at, m.index), h("a", { href: m[0], target: "_blank", rel: "noreferrer noopener" }, m[0]));
    at = m.index + m[0].length;
  }
  out.push(text.slice(at));
  return out.filter((s) => s !== "");
}
