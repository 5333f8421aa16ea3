"use strict";
/* The graph of targets on a canvas: see graph_page.py, which puts the data into the page. Text of others only ever becomes textContent,
   or is drawn. */
const { width: WIDTH, height: HEIGHT, targets } = JSON.parse(document.getElementById("data").textContent);
const users = targets.map(() => []);
targets.forEach((target, number) => target.needs.forEach(need => users[need].push(number)));
const needs = targets.map(target => target.needs);
const byName = new Map(targets.map((target, number) => [target.name, number]));

/* All that can be reached from a target over edges, the target included. */
function reach(start, edges) {
  const seen = new Set([start]), stack = [start];
  while (stack.length) for (const next of edges[stack.pop()]) if (!seen.has(next)) { seen.add(next); stack.push(next); }
  return seen;
}
/* What is on any path between two targets, in either direction. */
function between(one, other) {
  const found = new Set();
  for (const [from, to] of [[one, other], [other, one]]) {
    const above = reach(to, users);
    if (above.has(from)) for (const number of reach(from, needs)) if (above.has(number)) found.add(number);
  }
  return found;
}
function matching(words) {
  const parts = words.toLowerCase().split(/\s+/).filter(Boolean);
  if (!parts.length) return new Set();
  const texts = targets.map(target => `${target.name} ${target.rule} ${target.place}`.toLowerCase());
  return new Set([...texts.keys()].filter(number => parts.every(part => texts[number].includes(part))));
}

const canvas = document.getElementById("canvas"), panel = document.getElementById("panel"), search = document.getElementById("search");
const brush = canvas.getContext("2d");
let chosen = -1, second = -1, down = new Set(), up = new Set(), path = new Set(), found = new Set();
let zoom = 1, left = 0, top_ = 0, waiting = false;

function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim() || "#888"; }
function later() { if (!waiting) { waiting = true; requestAnimationFrame(() => { waiting = false; draw(); }); } }
function lit(number) { return path.size ? path.has(number) : chosen < 0 ? !found.size || found.has(number) : down.has(number) || up.has(number); }
function draw() {
  const scale = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
  if (canvas.width !== Math.round(box.width * scale) || canvas.height !== Math.round(box.height * scale)) {
    canvas.width = Math.round(box.width * scale); canvas.height = Math.round(box.height * scale);
  }
  const colours = Object.fromEntries(["--text", "--dim", "--line", "--box", "--mark", "--down", "--up", "--found"].map(name => [name, colour(name)]));
  brush.setTransform(1, 0, 0, 1, 0, 0);
  brush.clearRect(0, 0, canvas.width, canvas.height);
  brush.setTransform(scale * zoom, 0, 0, scale * zoom, scale * left, scale * top_);
  const seen = [-left / zoom, -top_ / zoom, (box.width - left) / zoom, (box.height - top_) / zoom];
  for (const bright of [false, true]) {
    brush.lineWidth = (bright ? 1.6 : 1) / Math.max(zoom, 0.4);
    targets.forEach((target, number) => target.needs.forEach(need => {
      const other = targets[need], on = (chosen >= 0 || path.size) && lit(number) && lit(need) && (path.size || down.has(number) && down.has(need) || up.has(number) && up.has(need));
      if (Boolean(on) !== bright) return;
      if (Math.max(target.x, other.x) + WIDTH < seen[0] || Math.min(target.x, other.x) - WIDTH > seen[2]) return;
      brush.globalAlpha = bright || chosen < 0 && !path.size ? 1 : 0.25;
      brush.strokeStyle = !bright ? colours["--line"] : path.size ? colours["--mark"] : down.has(number) && down.has(need) ? colours["--down"] : colours["--up"];
      const from = target.x - WIDTH / 2 + 20, to = other.x + WIDTH / 2 - 20, bend = Math.max(30, (from - to) / 2);
      brush.beginPath(); brush.moveTo(from, target.y); brush.bezierCurveTo(from - bend, target.y, to + bend, other.y, to, other.y); brush.stroke();
    }));
  }
  brush.font = "12px system-ui, sans-serif"; brush.textBaseline = "middle";
  targets.forEach((target, number) => {
    if (target.x + WIDTH < seen[0] || target.x - WIDTH > seen[2] || target.y + HEIGHT < seen[1] || target.y - HEIGHT > seen[3]) return;
    brush.globalAlpha = lit(number) ? 1 : 0.25;
    const wide = WIDTH - 40, high = HEIGHT - 8;
    brush.fillStyle = found.has(number) ? colours["--found"] : colours["--box"];
    brush.fillRect(target.x - wide / 2, target.y - high / 2, wide, high);
    if (number === chosen || number === second) { brush.lineWidth = 2; brush.strokeStyle = colours["--mark"]; brush.strokeRect(target.x - wide / 2, target.y - high / 2, wide, high); }
    if (zoom < 0.35) return;
    brush.fillStyle = colours["--text"];
    let text = target.name;
    while (text.length > 4 && brush.measureText(text).width > wide - 12) text = "…" + text.slice(Math.max(2, Math.ceil(text.length / 12)));
    brush.fillText(text, target.x - wide / 2 + 6, target.y);
  });
  brush.globalAlpha = 1;
}
function fit(numbers) {
  const box = canvas.getBoundingClientRect(), some = numbers.length ? numbers : [...targets.keys()];
  if (!some.length) return;
  let low = [Infinity, Infinity], high = [-Infinity, -Infinity];
  for (const number of some) {
    const { x, y } = targets[number];
    low = [Math.min(low[0], x), Math.min(low[1], y)]; high = [Math.max(high[0], x), Math.max(high[1], y)];
  }
  zoom = Math.min(1.2, box.width / (high[0] - low[0] + WIDTH * 1.2), box.height / (high[1] - low[1] + HEIGHT * 3));
  left = box.width / 2 - zoom * (low[0] + high[0]) / 2; top_ = box.height / 2 - zoom * (low[1] + high[1]) / 2;
  later();
}
function at(x, y) {
  const box = canvas.getBoundingClientRect(), there = [(x - box.left - left) / zoom, (y - box.top - top_) / zoom];
  return targets.findIndex(target => Math.abs(target.x - there[0]) <= WIDTH / 2 - 20 && Math.abs(target.y - there[1]) <= HEIGHT / 2 - 4);
}
function element(kind, text) { const made = document.createElement(kind); made.textContent = text; return made; }
function list(title, numbers) {
  const sorted = [...numbers].sort((one, other) => one - other);
  const links = sorted.slice(0, 500).map(number => {
    const link = element("button", targets[number].name);
    link.onclick = event => choose(number, event.shiftKey, true);
    return link;
  });
  const more = sorted.length > links.length ? [element("p", `and ${sorted.length - links.length} more`)] : [];
  return [element("h2", `${title} (${sorted.length})`), ...links, ...more];
}
function show() {
  if (chosen < 0) {
    const some = found.size ? list("Found", found) : [];
    panel.replaceChildren(element("p", "Click a target to see what it needs and what needs it; click another one with Shift to see the paths between them. Drag to move, turn the wheel to zoom, double-click to see all."), ...some);
    return;
  }
  const target = targets[chosen];
  const parts = [element("h1", target.name), element("p", target.rule), element("p", target.place)];
  if (second >= 0) {
    parts.push(...list(path.size ? `On a path to ${targets[second].name}` : `No path to ${targets[second].name}`, path));
  }
  parts.push(...list("Needs", needs[chosen]), ...list("Is needed by", users[chosen]));
  parts.push(element("p", `${down.size - 1} below it in all, ${up.size - 1} above`));
  panel.replaceChildren(...parts);
}
function choose(number, other, move) {
  if (other && chosen >= 0 && number >= 0 && number !== chosen) {
    second = number; path = between(chosen, second);
  } else {
    chosen = number; second = -1; path = new Set();
    down = number < 0 ? new Set() : reach(number, needs); up = number < 0 ? new Set() : reach(number, users);
    history.replaceState(null, "", number < 0 ? "#" : "#" + encodeURIComponent(targets[number].name));
  }
  show();
  if (move && number >= 0) {
    const box = canvas.getBoundingClientRect(), target = targets[number];
    zoom = Math.max(zoom, 0.6); left = box.width / 2 - zoom * target.x; top_ = box.height / 2 - zoom * target.y;
  }
  later();
}

let held = null;
canvas.onpointerdown = event => { held = { x: event.clientX, y: event.clientY, moved: false }; canvas.setPointerCapture(event.pointerId); };
canvas.onpointermove = event => {
  if (!held) { canvas.style.cursor = at(event.clientX, event.clientY) < 0 ? "grab" : "pointer"; return; }
  if (!held.moved && Math.hypot(event.clientX - held.x, event.clientY - held.y) < 4) return;
  left += event.clientX - held.x; top_ += event.clientY - held.y;
  held = { x: event.clientX, y: event.clientY, moved: true };
  later();
};
canvas.onpointerup = event => {
  const click = held && !held.moved;
  held = null;
  if (click) choose(at(event.clientX, event.clientY), event.shiftKey, false);
};
canvas.onpointercancel = () => { held = null; };
canvas.onwheel = event => {
  event.preventDefault();
  const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
  const next = Math.min(4, Math.max(0.02, zoom * Math.exp(-event.deltaY / 400)));
  left = x - (x - left) * next / zoom; top_ = y - (y - top_) * next / zoom; zoom = next;
  later();
};
canvas.ondblclick = () => fit([]);
search.oninput = () => {
  found = matching(search.value); chosen = second = -1; path = new Set(); down = new Set(); up = new Set();
  document.getElementById("said").textContent = search.value.trim() ? `${found.size} of ${targets.length}` : `${targets.length} targets`;
  show(); later();
};
search.onkeydown = event => {
  if (event.key === "Enter" && found.size) { const some = [...found]; some.length === 1 ? choose(some[0], false, true) : fit(some); }
  if (event.key === "Escape") { search.value = ""; search.oninput(); }
};
window.onresize = later;
search.oninput();
fit([]);
let start = "";
try { start = decodeURIComponent(location.hash.slice(1)); } catch { /* no label */ }
if (byName.has(start)) choose(byName.get(start), false, true);
