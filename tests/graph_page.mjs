// A document and a canvas that are just enough for graph.js: runs a page's script, does what its argument says, prints what came of it.
import { readFileSync } from "node:fs";
import vm from "node:vm";

const page = readFileSync(0, "utf8");
const data = page.match(/<script type="application\/json" id="data">(.*?)<\/script>/s)[1];
const script = page.match(/<script>(.*?)<\/script>/s)[1];
const drawn = [];
const brush = new Proxy({ measureText: text => ({ width: text.length * 7 }), fillText: text => drawn.push(text) }, {
  get: (brush_, name) => brush_[name] ?? (() => {}),
  set: (brush_, name, value) => { brush_[name] = value; return true; },
});
const make = kind => ({
  kind, textContent: "", children: [], style: {}, value: "", width: 0, height: 0,
  replaceChildren(...some) { this.children = some; },
  getBoundingClientRect: () => ({ left: 0, top: 0, width: 1000, height: 600 }),
  getContext: () => brush, setPointerCapture() {},
  set innerHTML(_) { throw new Error("text of others as markup"); },
});
const elements = { data: { ...make("script"), textContent: data }, canvas: make("canvas"), panel: make("aside"), search: make("input"), said: make("small") };
const document = { getElementById: name => elements[name], createElement: make, documentElement: {} };
const context = {
  document, JSON, Math, Set, Map, Object, Boolean, Infinity, decodeURIComponent, encodeURIComponent,
  window: { devicePixelRatio: 1 }, location: { hash: "" }, history: { replaceState(_, __, hash) { context.location.hash = hash; } },
  getComputedStyle: () => ({ getPropertyValue: () => "" }), requestAnimationFrame: work => work(),
};
vm.createContext(context);
const started = Date.now();
vm.runInContext(script, context);
const words = () => elements.panel.children.map(child => child.textContent);
const button = (name, shiftKey = false) => {
  const found = elements.panel.children.find(child => child.kind === "button" && child.textContent === name);
  if (!found) throw new Error(`no ${name} among ${words()}`);
  found.onclick({ shiftKey });
};
for (const [what, value] of JSON.parse(process.argv[2] ?? "[]")) {
  if (what === "search") { elements.search.value = value; elements.search.oninput(); }
  if (what === "enter") elements.search.onkeydown({ key: "Enter" });
  if (what === "click") button(value);
  if (what === "shift-click") button(value, true);
  if (what === "wheel") elements.canvas.onwheel({ deltaY: value, clientX: 500, clientY: 300, preventDefault() {} });
}
console.log(JSON.stringify({ words: words(), said: elements.said.textContent, hash: context.location.hash, drawn: drawn.length, milliseconds: Date.now() - started }));
