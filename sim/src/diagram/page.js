"use strict";
(() => {
// Data is plain: see the model that made it. Whatever text it holds reaches the page as text only.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const canvas = byId("canvas"), pen = canvas.getContext("2d");
const overview = byId("overview"), tip = byId("tip"), details = byId("details");
const [BEGIN, END] = data.shown;
const TOP = 34, GUTTER = 96, LANE_MIN = 92, MARGIN = 60;
const FAMILIES = ["election", "replication", "commit", "read", "snapshot", "client", "link", "heartbeat"];
const NAMED_MAX = 700, SLOTS = 6;
const FONT = "11px system-ui, sans-serif", BOLD = "600 11.5px system-ui, sans-serif";

const state = {
  zoom: 1, scroll: 0, shift: 0, even: true,
  families: Object.fromEntries(FAMILIES.map((family) => [family, family !== "heartbeat" && family !== "link"])),
  lanes: data.lanes.map(() => true),
  layers: { moments: true, disk: true, detail: false },
  search: "", past: null, selected: null, over: null,
};
let width = 0, height = 0, colour = {}, knots = null, rows = [], visible = [], matching = 0, drawn = {};
let columns = [], shownCount = 0, glance = null;

// ---- Times of handlers: the page promises to stay quick, and keeps the figures.
const timings = {};
window.iosDiagram = { timings, data, state };
const pending = new Map();
let frame = 0;

function act(name, change) {
  const began = performance.now();
  change();
  pending.set(name, (pending.get(name) || 0) + performance.now() - began);
  if (!frame) frame = requestAnimationFrame(flush);
}

function flush() {
  frame = 0;
  const began = performance.now();
  draw();
  const drawing = performance.now() - began;
  for (const [name, spent] of pending) {
    const entry = timings[name] || (timings[name] = { last: 0, max: 0, count: 0 });
    entry.last = spent + drawing;
    entry.max = Math.max(entry.max, entry.last);
    entry.count += 1;
  }
  pending.clear();
  const slowest = Object.entries(timings).sort((a, b) => b[1].max - a[1].max)[0];
  if (slowest) byId("timings").textContent = `drawn in ${drawing.toFixed(1)} ms; slowest so far: ` +
    `${slowest[0]}, ${slowest[1].max.toFixed(1)} ms`;
}

// ---- Things with a time: one list of all, so that searching, stepping and hitting know no kinds.
const messages = data.messages.map((it) => ({
  sort: "message", it, at: it.sent, until: Math.max(it.sent, ...it.ends.map((end) => end.at)),
  lanes: [it.from, it.to], family: data.kinds[it.kind].family,
  dimmed: data.kinds[it.kind].family + "~", y: 0, ys: it.ends.map(() => 0), hs: it.ends.map(() => 0),
  label: nameOf(it) + subject(it, data.kinds[it.kind].family === "election"),
}));
/// Requests and responses are many things, and say in their first word which.
function nameOf(it) {
  const { name, family } = data.kinds[it.kind];
  return family === "client" ? it.text.split(/[ {]/, 1)[0] : name;
}
/// A message of an election is about its view, any other about its index if it has one.
function subject(it, election) {
  if (it.index !== undefined && !(election && it.view !== undefined)) return " " + it.index;
  return it.view !== undefined ? " " + data.views[it.view] : "";
}
const marks = data.marks.map((it) => ({
  sort: "mark", it, at: it.at, until: it.at, lanes: it.lane === undefined ? [] : [it.lane], y: 0,
  label: it.what + (it.index !== undefined || it.view !== undefined ? subject(it, it.what === "leads")
    : it.rank === 1 && it.what !== "starts" ? ": " + it.text : ""),
}));
const writes = data.writes.map((it) => ({
  sort: "write", it, at: it.from, until: it.to, lanes: [it.lane], y: 0, y2: 0, label: it.text,
}));
const operations = data.operations.map((it) => ({
  sort: "operation", it, at: it.from, until: it.to, lanes: [it.lane], y: 0, y2: 0, slot: 0, label: it.asked,
}));
const spans = data.spans.map((it) => ({ sort: "span", it, at: it.from, until: it.to, lanes: [it.lane], y: 0, y2: 0 }));
const cuts = data.cuts.map((it) => ({
  sort: "cut", it, at: it.from, until: it.to, lanes: [], y: 0, y2: 0, groups: sides(it.links),
}));
const events = [...messages, ...marks, ...writes, ...operations].sort((a, b) => a.at - b.at);
for (const item of events) item.text = (item.label + " " + (item.it.text || item.it.answer || "")).toLowerCase();
slots();

/// Operations of one client that overlap stand beside each other.
function slots() {
  const free = data.lanes.map(() => []);
  for (const item of operations) {
    const ends = free[item.it.lane];
    let slot = ends.findIndex((end) => end <= item.at);
    if (slot < 0) slot = ends.length;
    ends[slot] = item.until;
    item.slot = slot % SLOTS;
  }
}

/// Who is on one side of a cut: lanes between which nothing is cut.
function sides(links) {
  const cut = new Set(links.map(([a, b]) => a + ">" + b));
  const apart = (a, b) => cut.has(a + ">" + b) || cut.has(b + ">" + a);
  const groups = [];
  for (const lane of [...new Set(links.flat())].sort((a, b) => a - b)) {
    const home = groups.find((group) => !group.some((other) => apart(lane, other)));
    if (home) home.push(lane); else groups.push([lane]);
  }
  return groups;
}

// ---- Time to height. Idle time may be shortened: then what is seen decides where time passes quickly.
function isShown(item) {
  if (item.sort === "message") {
    return state.families[item.family] && state.lanes[item.it.from] && state.lanes[item.it.to];
  }
  if (item.sort === "mark") {
    return state.layers.moments && (item.it.rank < 3 || state.layers.detail) &&
      (item.it.lane === undefined || state.lanes[item.it.lane]);
  }
  if (item.sort === "write") return state.layers.disk && state.lanes[item.it.lane];
  return item.lanes.every((lane) => state.lanes[lane]);
}

function rebuild() {
  rows = data.lanes.map((lane, number) => number).filter((number) => state.lanes[number]);
  shownCount = 0;
  for (const item of events) {
    item.shown = isShown(item);
    if (item.shown) shownCount += 1;
  }
  glance = null;
  const times = [BEGIN, END];
  if (state.even) {
    for (const item of events) {
      if (!item.shown || item.it.rank === 3) continue;
      times.push(item.at);
      if (item.until !== item.at) times.push(item.until);
    }
    for (const item of spans) if (item.it.what === "down" || item.it.what === "paused") times.push(item.at, item.until);
    for (const item of cuts) times.push(item.at, item.until);
  }
  if (data.verdict.time !== null) times.push(data.verdict.time);
  const sorted = new Float64Array(times).sort();
  const at = [BEGIN], height = [0];
  for (const time of sorted) {
    if (time < BEGIN || time > END) continue;
    const gap = time - at[at.length - 1];
    if (gap < 1000) continue;
    const millis = gap / 1e6;
    const step = state.even ? Math.min(5 + 11 * Math.log2(1 + millis), 64) : millis * 12;
    at.push(time);
    height.push(height[height.length - 1] + step);
  }
  knots = { at, height, whole: Math.max(height[height.length - 1], 1) };
  place();
  find();
}

function place() {
  for (const item of messages) {
    item.y = toY(item.at);
    item.it.ends.forEach((end, n) => {
      item.ys[n] = toY(end.at);
      item.hs[n] = toY(end.held === undefined ? end.at : end.held);
    });
  }
  for (const item of marks) item.y = toY(item.at);
  for (const list of [writes, operations, spans, cuts]) {
    for (const item of list) { item.y = toY(item.at); item.y2 = toY(item.until); }
  }
}

function segment(list, value) {
  let low = 0, high = list.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (list[middle] <= value) low = middle; else high = middle;
  }
  return low;
}

function between(from, to, value) {
  if (from.length < 2) return to[0];
  const clamped = Math.min(Math.max(value, from[0]), from[from.length - 1]);
  const low = segment(from, clamped);
  return to[low] + (to[low + 1] - to[low]) * (clamped - from[low]) / (from[low + 1] - from[low]);
}

const toY = (time) => between(knots.at, knots.height, time);
const toTime = (y) => between(knots.height, knots.at, y);
const screen = (y) => TOP + y * state.zoom - state.scroll;
const laneWidth = () => Math.max((width - GUTTER - MARGIN / 2) / Math.max(rows.length, 1), LANE_MIN);
const laneX = (lane) => columns[lane];
const millis = (time) => (time / 1e6).toFixed(3) + " ms";

function clampView() {
  const room = height - TOP;
  const most = knots.whole * state.zoom + MARGIN - room;
  state.scroll = Math.min(Math.max(state.scroll, -MARGIN / 2), Math.max(most, -MARGIN / 2));
  state.shift = Math.min(Math.max(state.shift, 0), Math.max(laneWidth() * rows.length + GUTTER - width, 0));
}

/// Changes what decides about heights, and keeps the middle of the picture where it was.
function keeping(change) {
  const middle = (height + TOP) / 2;
  const time = knots ? toTime((middle - TOP + state.scroll) / state.zoom) : BEGIN;
  change();
  rebuild();
  state.scroll = toY(time) * state.zoom - middle + TOP;
  clampView();
}

function zoomBy(factor, y = (height + TOP) / 2) {
  const at = (y - TOP + state.scroll) / state.zoom;
  const least = (height - TOP - MARGIN) / knots.whole;
  state.zoom = Math.min(Math.max(state.zoom * factor, Math.min(least, 1)), 400);
  state.scroll = at * state.zoom - y + TOP;
  clampView();
}

function fit() {
  state.zoom = Math.max(height - TOP - MARGIN, 50) / knots.whole;
  state.scroll = -MARGIN / 2;
  clampView();
}

function showTime(time, share = 0.5) {
  state.scroll = toY(time) * state.zoom - (height - TOP) * share;
  clampView();
}

// ---- Searching, and the past of an event.
function find() {
  const words = state.search.trim().toLowerCase();
  const index = /^#(\d+)$/.exec(words);
  matching = 0;
  for (const item of events) {
    const hit = !words || (index ? item.it.index === Number(index[1]) : item.text.includes(words) ||
      item.lanes.some((lane) => data.lanes[lane].name === words));
    item.dim = !hit || (state.past !== null && !isPast(item));
    if (item.shown && hit && words) matching += 1;
  }
  byId("found").textContent = words ? `${matching} found` : "";
}

/// What can have had an influence: everything on a lane up to the last message that leads from it, over others, to the
/// event. One pass over arrivals, the latest first, for every message is sent before it arrives.
function pastOf(item) {
  const bound = data.lanes.map(() => -1);
  const lane = item.sort === "message" ? item.it.from : item.lanes[0];
  if (lane === undefined) return null;
  bound[lane] = item.at;
  const arrivals = messages.flatMap((message) => message.it.ends.filter((end) => end.how === "taken")
    .map((end) => [end.at, message.it.from, message.it.to, message.it.sent]));
  arrivals.sort((a, b) => b[0] - a[0]);
  for (const [at, from, to, sent] of arrivals) {
    if (at <= bound[to]) bound[from] = Math.max(bound[from], sent);
  }
  return bound;
}

function isPast(item) {
  if (item.sort === "message") return item.at <= state.past[item.it.from];
  return item.lanes.length === 0 ? item.at <= Math.max(...state.past) : item.at <= state.past[item.lanes[0]];
}

// ---- Drawing. Only what is in sight, lines of one colour in one go.
function resize() {
  const ratio = window.devicePixelRatio || 1;
  const box = byId("stage").getBoundingClientRect();
  [width, height] = [Math.max(box.width, 300), Math.max(box.height, 150)];
  for (const [target, w, h] of [[canvas, width, height], [overview, 64, height]]) {
    target.width = Math.round(w * ratio);
    target.height = Math.round(h * ratio);
    target.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
  }
  const style = getComputedStyle(document.documentElement);
  for (const name of ["paper", "panel", "ink", "quiet", "rule", "lane", "grid", "hatch", "pause", "bad", "good", "cut",
    "select", "focus", ...FAMILIES]) colour[name] = style.getPropertyValue("--" + name).trim();
  glance = null;
  colour.dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
}

// Apart from each other, and none of them the red of what is wrong or the magenta of clients.
const HUES = [212, 168, 38, 268, 100, 190, 22, 240, 74, 290];
function viewColour(view, alpha = 1) {
  if (data.views[view] === "0.n0") return `hsl(210 8% 60% / ${alpha})`;
  return `hsl(${HUES[(view + HUES.length - 1) % HUES.length]} ${colour.dark ? "50% 60%" : "58% 45%"} / ${alpha})`;
}

function draw() {
  drawn = { lanes: 0, arrows: 0, crosses: 0, downs: 0, pauses: 0, leaders: 0, cuts: 0, writes: 0, durable: 0, marks: 0,
    operations: 0, violations: 0, items: 0 };
  visible = [];
  columns = data.lanes.map((lane, number) => GUTTER + (rows.indexOf(number) + 0.42) * laneWidth() - state.shift);
  taken = new Uint8Array(GRID * (Math.ceil(height / 12) + 8));
  pen.clearRect(0, 0, width, height);
  pen.lineCap = "round";
  pen.save();
  pen.beginPath();
  pen.rect(0, TOP, width, height - TOP);
  pen.clip();
  drawCuts();
  drawTimes();
  drawLanes();
  drawViolation();
  drawOperations();
  drawMarks(1);
  drawMessages();
  drawWrites();
  drawMarks(2);
  drawMarks(3);
  drawLabels();
  drawSelection();
  pen.restore();
  drawHead();
  drawOverview();
  byId("shown").textContent = `${drawn.items} of ${shownCount} events in sight, ` +
    `${events.length} in all`;
}

/// From afar, heads of arrows and round dots would be work that nobody sees.
const isFar = () => state.zoom < 0.3;
const inSight = (from, to) => screen(to) >= TOP - 20 && screen(from) <= height + 20;

// Labels never lie on each other: each takes cells, and what finds them taken is left out.
const GRID = 512;
let taken = new Uint8Array(0);
function room(x, y, length) {
  const row = Math.round(y / 12), first = Math.max(Math.floor(x / 16), 0);
  const last = Math.min(Math.floor((x + length) / 16), GRID - 1);
  if (row < 0 || (row + 1) * GRID > taken.length) return false;
  for (let cell = first; cell <= last; cell += 1) if (taken[row * GRID + cell]) return false;
  for (let cell = first; cell <= last; cell += 1) taken[row * GRID + cell] = 1;
  return true;
}

/// Paths by key: what has one colour is drawn in one go.
function paths() {
  const known = new Map();
  const get = (key) => {
    let path = known.get(key);
    if (!path) known.set(key, path = new Path2D());
    return path;
  };
  return { known, get };
}

let currentFont = "";
function write(text, x, y, fill, font = FONT) {
  if (font !== currentFont) pen.font = currentFont = font;
  pen.lineWidth = 3;
  pen.strokeStyle = colour.paper;
  pen.strokeText(text, x, y);
  pen.fillStyle = fill;
  pen.fillText(text, x, y);
}

function hatch(x, y, w, h, stroke, step = 7) {
  const top = Math.max(y, TOP - 10), bottom = Math.min(y + h, height + 10);
  if (bottom <= top) return;
  pen.save();
  pen.beginPath();
  pen.rect(x, top, w, bottom - top);
  pen.clip();
  pen.beginPath();
  const first = Math.floor((top - w) / step) * step;
  for (let at = first; at < bottom; at += step) { pen.moveTo(x, at + w); pen.lineTo(x + w, at); }
  pen.strokeStyle = stroke;
  pen.lineWidth = 1;
  pen.stroke();
  pen.restore();
}

function drawCuts() {
  const tints = ["cut", "pause", "election", "read"];
  let at = 0;
  for (const item of cuts) {
    at += 1;
    if (!inSight(item.y, item.y2)) continue;
    drawn.cuts += 1;
    const top = screen(item.y), bottom = Math.max(screen(item.y2), top + 2), w = laneWidth();
    item.groups.forEach((group, side) => {
      pen.fillStyle = colour[tints[side % tints.length]];
      pen.globalAlpha = colour.dark ? 0.13 : 0.085;
      for (const lane of group) if (state.lanes[lane]) pen.fillRect(laneX(lane) - w * 0.42, top, w, bottom - top);
    });
    pen.globalAlpha = 1;
    pen.setLineDash([6, 4]);
    pen.strokeStyle = colour.cut;
    pen.lineWidth = 1;
    pen.beginPath();
    for (const y of [top, bottom]) { pen.moveTo(GUTTER - 8, y); pen.lineTo(width, y); }
    pen.stroke();
    pen.setLineDash([]);
    pen.lineWidth = 3;
    pen.beginPath();
    const x = GUTTER - 12 - (at % 3) * 5;
    pen.moveTo(x, top);
    pen.lineTo(x, bottom);
    pen.stroke();
    // Where it begins, the line of the plan that cuts says so.
    const y = Math.min(TOP + 14, bottom - 2);
    if (top < TOP && bottom > TOP + 10 && room(GUTTER + 4, y, item.it.text.length * 6.4)) {
      labels.push([item.it.text, GUTTER + 4, y, colour.cut, BOLD]);
    }
    visible.push([item, x - 2, Math.max(top, TOP), x + 2, Math.min(bottom, height)]);
  }
}

function drawTimes() {
  pen.strokeStyle = colour.grid;
  pen.lineWidth = 1;
  pen.textAlign = "right";
  const step = 64, first = Math.floor(state.scroll / step) * step;
  for (let y = first; y < state.scroll + height; y += step) {
    const at = y / state.zoom;
    if (at < 0 || at > knots.whole) continue;
    pen.beginPath();
    pen.moveTo(GUTTER - 6, screen(at));
    pen.lineTo(width, screen(at));
    pen.stroke();
    pen.font = FONT;
    pen.fillStyle = colour.quiet;
    const digits = knots.whole * state.zoom > 60 * (END - BEGIN) / 1e6 ? 3 : 1;
    pen.fillText((toTime(at) / 1e6).toFixed(digits) + " ms", GUTTER - 30, screen(at) + 4);
  }
  pen.textAlign = "left";
}

function drawLanes() {
  const bottom = Math.min(screen(knots.whole), height), top = Math.max(screen(0), TOP);
  for (const lane of rows) {
    drawn.lanes += 1;
    pen.strokeStyle = colour.lane;
    pen.lineWidth = data.lanes[lane].client ? 1 : 2;
    pen.beginPath();
    pen.moveTo(laneX(lane), top);
    pen.lineTo(laneX(lane), bottom);
    pen.stroke();
  }
  // What matters more comes later and lies on top.
  for (const what of ["slow", "follows", "stands", "leads", "paused", "down"]) {
    for (const item of spans) {
      if (item.it.what !== what || !state.lanes[item.it.lane] || !inSight(item.y, item.y2)) continue;
      drawSpan(item, laneX(item.it.lane), screen(item.y), Math.max(screen(item.y2) - screen(item.y), 1.5));
    }
  }
}

function drawSpan(item, x, y, h) {
  const { what, view, text } = item.it;
  const from = Math.max(y, TOP - 20), size = Math.min(y + h, height + 20) - from;
  let half = 4;
  if (what === "follows") {
    pen.fillStyle = viewColour(view, 0.85);
    pen.fillRect(x - 2.5, from, 5, size);
  } else if (what === "stands") {
    pen.strokeStyle = viewColour(view);
    pen.lineWidth = 1.5;
    pen.setLineDash([3, 3]);
    pen.strokeRect(x - 6, y, 12, h);
    pen.setLineDash([]);
  } else if (what === "leads") {
    drawn.leaders += 1;
    half = 8;
    pen.fillStyle = viewColour(view, 0.22);
    pen.fillRect(x - 11, from, 22, size);
    pen.fillStyle = viewColour(view);
    pen.fillRect(x - 6, from, 12, size);
    // Whoever scrolls into the midst of a reign still reads whose it is.
    if (size > 30 && y < TOP) {
      const at = Math.min(Math.max(y + 14, TOP + 16), y + h - 6), words = "leads " + data.views[view];
      if (room(x + 14, at, words.length * 6.6)) labels.push([words, x + 14, at, viewColour(view), BOLD]);
    }
  } else if (what === "slow") {
    pen.strokeStyle = colour.pause;
    pen.lineWidth = 1.5;
    pen.setLineDash([1, 5]);
    pen.beginPath();
    pen.moveTo(x - 14, from); pen.lineTo(x - 14, from + size);
    pen.stroke();
    pen.setLineDash([]);
  } else {
    const down = what === "down", w = down ? 34 : 22;
    half = w / 2;
    drawn[down ? "downs" : "pauses"] += 1;
    pen.fillStyle = down ? colour.paper : colour.pause;
    pen.globalAlpha = down ? 1 : 0.3;
    pen.fillRect(x - half, from, w, size);
    pen.globalAlpha = 1;
    if (down) hatch(x - half, y, w, h, colour.hatch);
    pen.strokeStyle = down ? colour.hatch : colour.pause;
    pen.lineWidth = 1;
    pen.strokeRect(x - half, y, w, h);
    const at = Math.min(Math.max(y + 14, TOP + 16), y + h - 4);
    const unborn = text === "not started yet" && laneWidth() < 170;
    if (size > 16 && !unborn && (down || y < TOP) && room(x + half + 4, at, text.length * 6.2)) {
      labels.push([text, x + half + 4, at, down ? colour.quiet : colour.pause, BOLD]);
    }
  }
  visible.push([item, x - half, from, x + half, from + size]);
}

const labels = [];
function drawLabels() {
  currentFont = "";
  for (const [text, x, y, fill] of labels.filter((label) => label[4] === FONT)) write(text, x, y, fill, FONT);
  for (const [text, x, y, fill] of labels.filter((label) => label[4] === BOLD)) write(text, x, y, fill, BOLD);
  labels.length = 0;
}

function drawMessages() {
  const strokes = new Map();
  const path = (key) => {
    if (!strokes.has(key)) strokes.set(key, [new Path2D(), new Path2D(), new Path2D(), new Path2D()]);
    return strokes.get(key);
  };
  const named = [];
  for (const item of messages) {
    if (!item.shown) continue;
    const [x1, x2] = [laneX(item.it.from), laneX(item.it.to)];
    const y1 = screen(item.y), [lines, heads, crosses, waits] = path(item.dim ? item.dimmed : item.family);
    for (let n = 0; n < item.ys.length; n += 1) {
      const end = item.it.ends[n];
      let y2 = screen(item.ys[n]);
      if (y2 < TOP - 20 || y1 > height + 20) continue;
      drawn.arrows += 1;
      if (n === 0) drawn.items += 1;
      const held = screen(item.hs[n]);
      let tox = x2 > x1 ? x2 - 5 : x2 + 5;
      if (end.how === "lost" && end.at === item.at) { tox = x1 + (x2 - x1) * 0.4; y2 = y1 + 14; }
      else if (end.how === "flying") tox = x1 + (x2 - x1) * 0.8;
      else if (held !== y2) { waits.moveTo(tox, held); waits.lineTo(tox, y2); }
      const toy = end.how === "taken" || end.held !== undefined ? held : y2;
      lines.moveTo(x1, y1);
      lines.lineTo(tox, toy);
      if (end.how === "lost") {
        drawn.crosses += 1;
        crosses.moveTo(tox - 4, toy - 4); crosses.lineTo(tox + 4, toy + 4);
        crosses.moveTo(tox + 4, toy - 4); crosses.lineTo(tox - 4, toy + 4);
      } else if (end.how === "taken" && !isFar()) {
        head(heads, x1, y1, tox, toy);
      }
      visible.push([item, x1, y1, tox, toy]);
      if (n === 0 && !item.dim) named.push([item, x1, y1, tox, toy]);
    }
  }
  for (const [key, [lines, heads, crosses, waits]] of strokes) {
    const dim = key.endsWith("~"), family = dim ? key.slice(0, -1) : key;
    pen.globalAlpha = dim ? 0.1 : family === "heartbeat" || family === "link" ? 0.65 : 0.92;
    pen.strokeStyle = pen.fillStyle = colour[family];
    pen.lineWidth = family === "heartbeat" || family === "link" ? 0.9 : 1.4;
    pen.stroke(lines);
    pen.fill(heads);
    pen.setLineDash([2, 3]);
    pen.stroke(waits);
    pen.setLineDash([]);
    pen.strokeStyle = colour.bad;
    pen.lineWidth = 2;
    pen.stroke(crosses);
  }
  pen.globalAlpha = 1;
  pen.font = currentFont = FONT;
  for (const entry of named.length < NAMED_MAX ? named : []) nameArrow(...entry);
}

function head(path, x1, y1, x2, y2) {
  const length = Math.hypot(x2 - x1, y2 - y1) || 1, ux = (x2 - x1) / length, uy = (y2 - y1) / length;
  path.moveTo(x2, y2);
  path.lineTo(x2 - ux * 8 - uy * 3.4, y2 - uy * 8 + ux * 3.4);
  path.lineTo(x2 - ux * 8 + uy * 3.4, y2 - uy * 8 - ux * 3.4);
  path.closePath();
}

/// The name of an arrow along it, on the side of its head, if there is room.
function nameArrow(item, x1, y1, x2, y2) {
  const length = Math.hypot(x2 - x1, y2 - y1), size = item.label.length * 6 + 4;
  if (length < size + 26 || Math.abs(y2 - y1) > length * 0.8) return;
  const share = Math.min(0.5, (size / 2 + 22) / length);
  const x = x2 - (x2 - x1) * share, y = y2 - (y2 - y1) * share;
  if (!room(x - size / 2, y - 4, size)) return;
  pen.save();
  pen.translate(x, y);
  pen.rotate(Math.atan2(y2 - y1, x2 - x1) + (x2 < x1 ? Math.PI : 0));
  pen.textAlign = "center";
  write(item.label, 0, -3, colour[item.family]);
  pen.restore();
}

function drawWrites() {
  const near = !isFar(), { known, get } = paths();
  for (const item of writes) {
    if (!item.shown || !inSight(item.y, item.y2)) continue;
    drawn.writes += 1;
    drawn.items += 1;
    const { how } = item.it, x = laneX(item.it.lane) - 13, y = screen(item.y), y2 = screen(item.y2);
    const key = (how === "failed" || how === "doubt" ? "bad" : "ink") + (item.dim ? "~" : "");
    if (how === "durable") drawn.durable += 1;
    visible.push([item, x - 1, y, x + 1, y2]);
    const line = get("line " + key);
    line.moveTo(x, y); line.lineTo(x, y2);
    if (!near) continue;
    disc(get("open " + key), x, y, 2.6);
    if (how === "durable") disc(get("full " + key), x, y2, 3);
    else if (how !== "open") {
      line.moveTo(x - 3.5, y2 - 3.5); line.lineTo(x + 3.5, y2 + 3.5);
      line.moveTo(x + 3.5, y2 - 3.5); line.lineTo(x - 3.5, y2 + 3.5);
    }
  }
  pen.lineWidth = 1.1;
  for (const what of ["line", "open", "full"]) {
    for (const [key, path] of known) {
      if (!key.startsWith(what)) continue;
      pen.globalAlpha = key.endsWith("~") ? 0.12 : 1;
      pen.strokeStyle = colour[key.includes("bad") ? "bad" : "ink"];
      pen.fillStyle = what === "open" ? colour.paper : pen.strokeStyle;
      if (what !== "line") pen.fill(path);
      if (what !== "full") pen.stroke(path);
    }
  }
  pen.globalAlpha = 1;
}

function disc(path, x, y, radius) {
  path.moveTo(x + radius, y);
  path.arc(x, y, radius, 0, 7);
}

const MARKS = {
  down: "bad", loss: "bad", differs: "bad", rots: "bad", "snapshot lost": "bad", crashes: "bad", "cut short": "bad",
  unsynced: "bad", leads: "election", stands: "election", "steps down": "election", promises: "election",
  canvasses: "election", accepts: "replication", assigns: "replication", counts: "commit", commits: "commit",
  applies: "commit", chosen: "good", snapshot: "snapshot", installs: "snapshot", restores: "snapshot",
  starts: "good", plan: "cut", healed: "good", clock: "pause", retries: "client", "no answer": "client",
};

function drawMarks(rank) {
  const { known, get } = paths();
  for (const item of marks) {
    if (item.it.rank !== rank || !item.shown) continue;
    const y = screen(item.y);
    if (y < TOP - 10 || y > height + 10) continue;
    drawn.marks += 1;
    drawn.items += 1;
    const margin = item.it.lane === undefined, x = margin ? GUTTER - 24 : laneX(item.it.lane);
    const name = MARKS[item.it.what] || "quiet", path = get(name + (item.dim ? "~" : ""));
    visible.push([item, x, y, x, y]);
    if (rank === 1) {
      path.moveTo(x, y - 5); path.lineTo(x + 5, y); path.lineTo(x, y + 5); path.lineTo(x - 5, y); path.closePath();
    } else if (isFar()) {
      path.rect(x - 1.5, y - 1, 3, 2);
    } else {
      disc(path, x, y, rank === 2 ? 2.4 : 1.4);
    }
    if (!item.dim && rank < 3) labelMark(item, x, y, margin, colour[name]);
  }
  pen.strokeStyle = colour.paper;
  pen.lineWidth = 2.4;
  for (const [key, path] of known) {
    pen.globalAlpha = key.endsWith("~") ? 0.12 : 1;
    pen.fillStyle = colour[key.replace("~", "")];
    if (rank < 3 && !isFar()) pen.stroke(path);
    pen.fill(path);
  }
  pen.globalAlpha = 1;
}

function labelMark(item, x, y, margin, fill) {
  const { what, rank, text } = item.it, font = rank === 1 ? BOLD : FONT;
  const said = what === "plan" || what === "healed" ? text : item.label;
  const short = said.length > 46 ? said.slice(0, 45) + "…" : said, at = x + (margin ? 10 : 12);
  if (room(at, y, short.length * 5.9)) labels.push([short, at, y + 4, fill, font]);
}

function drawOperations() {
  const paint = { done: "good", refused: "quiet", unknown: "pause", open: "client" };
  for (const item of operations) {
    if (!item.shown || !inSight(item.y, item.y2)) continue;
    drawn.operations += 1;
    drawn.items += 1;
    const { how, lane, asked, answer } = item.it, x = laneX(lane) + 7 + item.slot * 7;
    const y = screen(item.y), h = Math.max(screen(item.y2) - y, 3);
    const from = Math.max(y, TOP - 30), size = Math.min(y + h, height + 30) - from;
    pen.globalAlpha = item.dim ? 0.12 : 1;
    pen.strokeStyle = pen.fillStyle = colour[paint[how]];
    pen.lineWidth = 1.3;
    pen.beginPath();
    pen.roundRect(x - 2.5, from, 5, size, 2.5);
    if (how === "done") pen.fill();
    else { if (how === "unknown" || how === "open") pen.setLineDash([3, 3]); pen.stroke(); pen.setLineDash([]); }
    pen.globalAlpha = 1;
    visible.push([item, x, from, x, from + size]);
    if (item.dim) continue;
    const cap = Math.max(Math.floor((laneWidth() * 0.6) / 5.8), 10);
    const short = (text) => text.length > cap ? text.slice(0, cap - 1) + "…" : text;
    const at = x + 8;
    if (room(at, y + 4, short(asked).length * 5.9)) labels.push([short(asked), at, y + 8, colour.ink, FONT]);
    if (h > 18 && how !== "open" && room(at, y + h - 4, short(answer).length * 5.9)) {
      labels.push([short(answer), at, y + h, colour[paint[how]], FONT]);
    }
  }
}

function drawViolation() {
  const { time, oracle } = data.verdict;
  if (time === null || time < BEGIN || time > END) return;
  const y = screen(toY(time));
  if (y < TOP - 20 || y > height + 20) return;
  drawn.violations += 1;
  pen.fillStyle = pen.strokeStyle = colour.bad;
  pen.lineWidth = 2;
  pen.beginPath();
  pen.moveTo(0, y); pen.lineTo(width, y);
  pen.stroke();
  const text = "violated: " + oracle, size = text.length * 6.6 + 14;
  labels.push(["", 0, 0, colour.bad, BOLD]);
  pen.fillStyle = "#b00e28";
  pen.beginPath();
  pen.roundRect(width - size - 8, y - 20, size, 18, 4);
  pen.fill();
  pen.font = BOLD;
  pen.fillStyle = "#fff";
  pen.fillText(text, width - size - 1, y - 7);
  room(width - size - 8, y - 8, size);
  visible.push([{ sort: "violation", it: data.verdict, at: time, until: time, lanes: [] }, 0, y, width, y]);
}

function drawSelection() {
  for (const [item, x1, y1, x2, y2] of visible) {
    if (item !== state.selected && item !== state.over) continue;
    pen.strokeStyle = colour.focus;
    pen.globalAlpha = item === state.selected ? 0.9 : 0.45;
    pen.lineWidth = 4;
    pen.beginPath();
    if (Math.abs(x1 - x2) + Math.abs(y1 - y2) < 2) pen.arc(x1, y1, 8, 0, 7);
    else if (item.sort === "span") pen.rect(x1 - 2, y1, x2 - x1 + 4, y2 - y1);
    else { pen.moveTo(x1, y1); pen.lineTo(x2, y2); }
    pen.stroke();
    pen.globalAlpha = 1;
  }
}

function drawHead() {
  pen.fillStyle = colour.panel;
  pen.fillRect(0, 0, width, TOP);
  pen.fillStyle = colour.rule;
  pen.fillRect(0, TOP - 1, width, 1);
  pen.textAlign = "center";
  for (const lane of rows) {
    pen.font = "650 13px system-ui, sans-serif";
    pen.fillStyle = data.lanes[lane].client ? colour.client : colour.ink;
    pen.fillText(data.lanes[lane].name, laneX(lane), 21);
  }
  pen.textAlign = "left";
  pen.font = FONT;
  pen.fillStyle = colour.panel;
  pen.fillRect(0, 0, GUTTER - 10, TOP - 1);
  pen.fillStyle = colour.quiet;
  pen.fillText("time", 12, 21);
}

/// The whole run at a glance: who led, who was down, how much went on, and where the picture is.
function drawOverview() {
  const ink = overview.getContext("2d"), tall = (y) => 6 + y / knots.whole * (height - 12);
  if (!glance) drawGlance(glance = glancePicture, tall);
  ink.clearRect(0, 0, 64, height);
  ink.drawImage(glance, 0, 0, 64, height);
  const top = tall(Math.max(state.scroll / state.zoom, 0));
  const bottom = tall(Math.min((state.scroll + height - TOP) / state.zoom, knots.whole));
  ink.strokeStyle = colour.focus;
  ink.lineWidth = 1.5;
  ink.strokeRect(1.5, top, 61, Math.max(bottom - top, 4));
}

/// What of that changes only with filters.
const glancePicture = document.createElement("canvas");
function drawGlance(picture, tall) {
  const ink = picture.getContext("2d");
  if (picture.width !== overview.width) picture.width = overview.width;
  if (picture.height !== overview.height) picture.height = overview.height;
  ink.setTransform(overview.width / 64, 0, 0, overview.height / height, 0, 0);
  ink.clearRect(0, 0, 64, height);
  const members = data.lanes.filter((lane) => !lane.client).length, w = Math.min(30 / members, 8);
  for (const item of spans) {
    const { what, lane, view } = item.it;
    if (lane >= members || !["follows", "leads", "down", "paused"].includes(what)) continue;
    ink.fillStyle = what === "down" ? colour.hatch : what === "paused" ? colour.pause
      : viewColour(view, what === "leads" ? 1 : 0.3);
    ink.fillRect(8 + lane * w, tall(item.y), w - 1, Math.max(tall(item.y2) - tall(item.y), 1));
  }
  const density = new Uint16Array(Math.ceil(height) + 1);
  for (const item of messages) if (item.shown) density[Math.round(tall(item.y))] += 1;
  ink.fillStyle = colour.replication;
  density.forEach((count, y) => { if (count) ink.fillRect(41, y, Math.min(2 + count * 1.5, 17), 1); });
  ink.strokeStyle = colour.cut;
  for (const item of cuts) ink.strokeRect(4.5, tall(item.y), 1, Math.max(tall(item.y2) - tall(item.y), 1));
  if (data.verdict.time !== null) {
    ink.fillStyle = colour.bad;
    ink.fillRect(0, tall(toY(data.verdict.time)) - 1, 64, 3);
  }
}

// ---- What is under the pointer.
function hit(x, y) {
  let best = null, least = 7;
  for (let n = visible.length - 1; n >= 0; n -= 1) {
    const [item, x1, y1, x2, y2] = visible[n];
    if (item.dim) continue;
    const weight = item.sort === "span" || item.sort === "cut" ? 4 : item.sort === "message" ? 1 : 0;
    const away = (item.sort === "span" ? outside(x, y, x1, y1, x2, y2) : distance(x, y, x1, y1, x2, y2)) + weight;
    if (away < least) [best, least] = [item, away];
  }
  return best;
}

const outside = (x, y, x1, y1, x2, y2) => Math.max(x1 - x, x - x2, y1 - y, y - y2, 0);

function distance(x, y, x1, y1, x2, y2) {
  const dx = x2 - x1, dy = y2 - y1, square = dx * dx + dy * dy;
  const share = square ? Math.min(Math.max(((x - x1) * dx + (y - y1) * dy) / square, 0), 1) : 0;
  return Math.hypot(x - x1 - share * dx, y - y1 - share * dy);
}

const laneName = (lane) => data.lanes[lane].name;
const copy = (end) => ({ taken: `taken at ${millis(end.at)}`, flying: "still on its way when the run ended",
  lost: `lost at ${millis(end.at)}: ${end.why}` })[end.how] +
  (end.held !== undefined ? `, after waiting since ${millis(end.held)}` : "");

/// An item as a title and pairs of a word and what there is to say.
function describe(item) {
  const { it } = item;
  const about = [];
  if (it.view !== undefined) about.push(["view", data.views[it.view]]);
  if (it.index !== undefined) about.push(["index", String(it.index)]);
  const span = (how) => [["from", millis(it.from)], ["to", millis(it.to)], ["for", millis(it.to - it.from)], ...how];
  switch (item.sort) {
    case "message": return [`${data.kinds[it.kind].name}: ${laneName(it.from)} to ${laneName(it.to)}`, [
      ["sent", millis(it.sent)], ...it.ends.map((end, n) => [n ? "copy" : "end", copy(end)]),
      ...it.ends.slice(0, 1).filter((end) => end.how === "taken").map((end) => ["took", millis(end.at - it.sent)]),
      ...about], it.text];
    case "mark": return [`${it.lane === undefined ? "" : laneName(it.lane) + " "}${it.what}`,
      [["at", millis(it.at)], ...about], it.text];
    case "write": return [`${laneName(it.lane)}: disk`, span([["ended", { durable: "durable", failed: "in an error",
      doubt: "not before the crash: in doubt", open: "not before the run did" }[it.how]], ...about]), it.text];
    case "operation": return [`${laneName(it.lane)}.${it.number}: ${it.asked}`, span([["answer", it.answer]]), ""];
    case "cut": return [it.text,
      span([["cut", it.links.map(([a, b]) => laneName(a) + ">" + laneName(b)).join(" ")]]), ""];
    case "violation": return ["violated: " + it.oracle, [["at", millis(it.time)]], it.text];
    default: return [`${laneName(it.lane)}: ${it.text}`, span([]), ""];
  }
}

function element(name, text, parent, type) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  if (type) made.className = type;
  if (parent) parent.append(made);
  return made;
}

function button(text, parent, name, change) {
  const made = element("button", text, parent);
  made.type = "button";
  made.addEventListener("click", () => act(name, change));
  return made;
}

function select(item) {
  state.selected = item;
  details.replaceChildren();
  if (!item) {
    element("h2", "Nothing selected", details);
    element("p", "Point at something, or click it. N and P step through what is shown.", details, "quiet");
    return;
  }
  const [title, pairs, raw] = describe(item);
  element("h2", title, details);
  const list = element("dl", "", details);
  for (const [word, what] of pairs) { element("dt", word, list); element("dd", what, list); }
  if (raw) element("p", raw, details, "raw");
  if (item.it.index !== undefined) {
    button(`Follow index ${item.it.index}`, details, "search", () => search("#" + item.it.index));
  }
  if (item.lanes.length) {
    button("Only its past", details, "past", () => { state.past = pastOf(item); find(); });
  }
  if (state.search || state.past) button("Everything again", details, "search", clear);
}

function search(text) {
  state.search = byId("search").value = text;
  find();
  if (state.selected) select(state.selected);
}

function clear() {
  state.past = null;
  search("");
}

function step(forward) {
  const list = events.filter((item) => item.shown && !item.dim && item.it.rank !== 3);
  if (!list.length) return;
  let at = list.indexOf(state.selected);
  if (at < 0) {
    const time = toTime((state.scroll + (height - TOP) / 2) / state.zoom);
    at = list.findIndex((item) => item.at >= time) - (forward ? 1 : 0);
  }
  const next = list[Math.min(Math.max(at + (forward ? 1 : -1), 0), list.length - 1)];
  select(next);
  if (screen(next.y) < TOP + 30 || screen(next.y) > height - 40) showTime(next.at, 0.4);
}

function toViolation() {
  if (data.verdict.time !== null) showTime(data.verdict.time, 0.72);
}

// ---- Controls.
function filter(parent, name, text, on, change, swatch) {
  const label = element("label", "", byId(parent));
  const box = element("input", "", label);
  box.type = "checkbox";
  box.checked = on;
  if (swatch) element("i", "", label).style.setProperty("--swatch", `var(--${swatch})`);
  label.append(text);
  box.addEventListener("change", () => act("filter", () => keeping(() => change(box.checked))));
}

function setUp() {
  document.title = `${data.name}: ${data.verdict.ok ? "ok" : "violated " + data.verdict.oracle}`;
  byId("name").textContent = data.name;
  const verdict = byId("verdict");
  verdict.textContent = data.verdict.ok ? "every property holds" : "violated: " + data.verdict.oracle;
  verdict.className = "chip " + (data.verdict.ok ? "ok" : "bad");
  byId("facts").textContent = `${data.lanes.filter((lane) => !lane.client).length} members, ` +
    `${data.lanes.filter((lane) => lane.client).length} clients, ${data.verdict.events} events in ` +
    `${millis(data.ended)}, digest ${data.verdict.digest}`;
  if (!data.verdict.ok || data.verdict.expected) {
    const text = data.verdict.ok ? "" : `${data.verdict.oracle} at ${millis(data.verdict.time)}: ${data.verdict.text}`;
    byId("violation").textContent = [text, data.verdict.expected].filter(Boolean).join("\n");
    byId("violation").hidden = false;
    byId("toviolation").hidden = data.verdict.ok;
  }
  if (data.left_out) { byId("leftout").textContent = data.left_out; byId("leftout").hidden = false; }
  for (const paragraph of data.story) element("p", paragraph, byId("story"));
  byId("storybox").hidden = data.story.length === 0;
  byId("scenario").textContent = data.scenario;
  for (const [word, what] of [["thick bar", "leads a view; each view has its colour"],
    ["thin bar", "has promised that view"], ["dashed box", "stands for a view"], ["hatched", "down"],
    ["amber", "paused; slow if dotted"], ["tinted band", "cut off; one tint for each side"],
    ["hollow dot", "handed to the disk, not durable"], ["filled dot", "durable"],
    ["red cross", "lost: a message, or a write in doubt"], ["dotted line", "waits for a paused receiver"],
    ["capsule", "a client's operation: full if done, hollow if not, dashed if unknown"],
    ["diamond", "changes the course of the run"], ["left margin", "what the plan does, and what is chosen in truth"]]) {
    const line = element("div", "", byId("legend"));
    element("b", word + " ", line);
    line.append(" " + what);
  }
  for (const [key, what] of [["+ -", "zoom"], ["0", "the whole run"], ["arrows", "move"], ["page up, down", "far"],
    ["n, p", "next and previous event"], ["v", "to the violation"], ["t", "idle time shortened or true"],
    ["c", "only the past of what is selected"], ["/", "search"], ["esc", "everything again"]]) {
    const line = element("div", "", byId("keys"));
    element("b", key + " ", line);
    line.append(" " + what);
  }
  const there = new Set(data.kinds.map((kind) => kind.family));
  for (const family of FAMILIES.filter((family) => there.has(family))) {
    filter("families", family, family, state.families[family], (on) => { state.families[family] = on; }, family);
  }
  data.lanes.forEach((lane, number) => {
    filter("lanes", lane.name, lane.name, true, (on) => { state.lanes[number] = on; });
  });
  for (const [layer, text] of [["moments", "moments"], ["disk", "disk"], ["detail", "every note"]]) {
    filter("layers", layer, text, state.layers[layer], (on) => { state.layers[layer] = on; });
  }
}

function toggleEven() {
  keeping(() => { state.even = !state.even; });
  byId("even").setAttribute("aria-pressed", String(state.even));
}

function listen() {
  byId("in").addEventListener("click", () => act("zoom", () => zoomBy(1.5)));
  byId("out").addEventListener("click", () => act("zoom", () => zoomBy(1 / 1.5)));
  byId("fit").addEventListener("click", () => act("zoom", fit));
  byId("even").addEventListener("click", () => act("filter", toggleEven));
  byId("toviolation").addEventListener("click", () => act("pan", toViolation));
  byId("search").addEventListener("input", (event) => act("search", () => {
    state.search = event.target.value;
    find();
  }));
  byId("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter") act("step", () => step(!event.shiftKey));
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const y = event.offsetY;
    if (event.ctrlKey || event.metaKey) act("zoom", () => zoomBy(Math.exp(-event.deltaY / 300), y));
    else act("pan", () => {
      const unit = event.deltaMode === 1 ? 16 : 1;
      if (event.shiftKey) state.shift += event.deltaY * unit; else state.scroll += event.deltaY * unit;
      state.shift += event.deltaX * unit;
      clampView();
    });
  }, { passive: false });
  drag();
  overview.addEventListener("pointerdown", (event) => { overview.setPointerCapture(event.pointerId); jump(event); });
  overview.addEventListener("pointermove", (event) => { if (event.buttons) jump(event); });
  document.addEventListener("keydown", key);
  // A canvas that changes its size is empty, so it is drawn before anybody sees that.
  const fresh = () => { act("resize", () => { resize(); clampView(); }); cancelAnimationFrame(frame); flush(); };
  new ResizeObserver(() => {
    const box = byId("stage").getBoundingClientRect();
    if (Math.max(box.width, 300) !== width || Math.max(box.height, 150) !== height) fresh();
  }).observe(byId("stage"));
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", fresh);
}

function jump(event) {
  const share = Math.min(Math.max((event.offsetY - 6) / (height - 12), 0), 1);
  act("pan", () => showTime(toTime(share * knots.whole)));
}

function drag() {
  const fingers = new Map();
  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.offsetX, event.offsetY]);
    moved = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return point(event);
    const [x, y] = [event.offsetX, event.offsetY];
    moved += Math.abs(x - before[0]) + Math.abs(y - before[1]);
    const other = [...fingers].find(([id]) => id !== event.pointerId);
    act(other ? "zoom" : "pan", () => {
      if (other) zoomBy(spread(y, other[1][1]) / spread(before[1], other[1][1]), (y + other[1][1]) / 2);
      state.scroll -= other ? 0 : y - before[1];
      state.shift -= x - before[0];
      clampView();
      canvas.classList.add("dragging");
    });
    fingers.set(event.pointerId, [x, y]);
  });
  const up = (event) => {
    fingers.delete(event.pointerId);
    canvas.classList.remove("dragging");
    if (event.type === "pointerup" && moved < 6) act("select", () => select(hit(event.offsetX, event.offsetY)));
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
}

const spread = (a, b) => Math.max(Math.abs(a - b), 20);

function point(event) {
  const over = hit(event.offsetX, event.offsetY);
  if (over !== state.over) act("point", () => { state.over = over; });
  canvas.classList.toggle("over", state.over !== null);
  tip.hidden = state.over === null;
  if (!state.over) return;
  const [title, pairs, raw] = describe(state.over);
  const first = pairs.slice(0, 2).map((pair) => pair.join(" ")).join(", ");
  tip.textContent = `${title} — ${first}${raw ? "\n" + raw : ""}`;
  tip.style.left = Math.min(event.offsetX + 14, Math.max(width - 390, 0)) + "px";
  tip.style.top = Math.min(event.offsetY + 16, height - 70) + "px";
}

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") return act("search", () => { clear(); select(null); canvas.focus(); });
  if (["INPUT", "SUMMARY", "BUTTON"].includes(event.target.tagName) && event.target.type !== "checkbox") return;
  const page = (height - TOP) * 0.8;
  const move = (down, right) => ["pan", () => { state.scroll += down; state.shift += right; clampView(); }];
  const keys = {
    "+": ["zoom", () => zoomBy(1.3)], "=": ["zoom", () => zoomBy(1.3)], "-": ["zoom", () => zoomBy(1 / 1.3)],
    "0": ["zoom", fit], v: ["pan", toViolation], t: ["filter", toggleEven],
    n: ["step", () => step(true)], p: ["step", () => step(false)],
    c: ["past", () => { if (state.selected) { state.past = pastOf(state.selected); find(); } }],
    ArrowDown: move(60, 0), ArrowUp: move(-60, 0), ArrowRight: move(0, 60), ArrowLeft: move(0, -60),
    PageDown: move(page, 0), PageUp: move(-page, 0), Home: move(-1e9, 0), End: move(1e9, 0),
  };
  if (event.key === "/") { event.preventDefault(); return byId("search").focus(); }
  const found = keys[event.key];
  if (!found) return;
  event.preventDefault();
  act(...found);
}

// ---- What a test asks: does the page draw what the data holds, and how long do its handlers take?
function selfTest() {
  const everything = (on) => {
    for (const family of FAMILIES) state.families[family] = on || (family !== "heartbeat" && family !== "link");
    state.layers.detail = on;
  };
  const settle = (name, change) => {
    act(name, change);
    cancelAnimationFrame(frame);
    flush();
    return timings[name].last;
  };
  const fitted = [];
  for (const even of [true, false]) {
    settle("filter", () => keeping(() => { everything(true); state.even = even; }));
    settle("zoom", fit);
    fitted.push({ ...drawn });
  }
  const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
  const times = (name, change) => median(Array.from({ length: 15 }, (_, n) => settle(name, () => change(n))));
  const measured = {};
  state.even = true;
  settle("filter", () => keeping(() => {}));
  settle("zoom", fit);
  measured.zoom = times("zoom", (n) => zoomBy(n % 2 ? 1.3 : 1 / 1.3, height / 2));
  measured.filter = times("filter", (n) => keeping(() => { state.families.heartbeat = n % 2 === 0; }));
  measured.search = times("search", (n) => search(n % 2 ? "accept" : "#3"));
  clear();
  measured.pan = times("pan", (n) => { state.scroll += n % 2 ? 90 : -90; clampView(); });
  measured.point = times("point", (n) => { state.over = hit(GUTTER + n * 31, TOP + n * 17); });
  everything(false);
  const result = element("pre", "", document.body);
  result.id = "selftest";
  result.textContent = JSON.stringify({ even: fitted[0], linear: fitted[1], measured, events: events.length });
}

setUp();
resize();
rebuild();
listen();
select(null);
fit();
// Where one can read: at the violation, at the moment that the address names (#612.5ms), or where things begin.
state.zoom = Math.max(state.zoom, 1.6);
const named = /^#([0-9.]+)ms$/.exec(location.hash);
if (named) showTime(Number(named[1]) * 1e6, 0.3);
else if (data.verdict.time !== null) toViolation();
else showTime(Math.min(...operations.map((item) => item.at), ...marks.filter((item) => item.it.what === "plan")
  .map((item) => item.at), END), 0.15);
flush();
if (location.hash === "#selftest") selfTest();
})();
