// Moving about: pointer, wheel, fingers, keys, buttons.
function hit(px, py) {
  const row = Math.floor((py - top()) / ROW);
  if (px < gutter || row < 0 || row >= graph.rows) return null;
  const reach = 3 / scale(), time = timeAt(px); // a task thinner than the pointer can be met too
  let best = null, least = Infinity;
  for (const run of runsIn(time - reach, time + reach)) {
    const segment = segmentOf(run), offset = graph.runs[run][1], list = segment.rows[row];
    for (let place = after(segment, list, time - reach - offset); place < list.length; place++) {
      const at = { run, task: list[place] };
      if (startOf(at) > time + reach) break;
      const far = Math.max(startOf(at) - time, time - endOf(at), 0);
      if (far < least) [best, least] = [at, far];
    }
  }
  return best;
}

function point(px, py) {
  const found = hit(px, py);
  if (!same(found, hovered)) { hovered = found; redraw(); }
  pointed = true;
  if (found) return show(describe(found), px, py);
  const lane = LANES.findIndex((_, index) => py >= laneY(index) && py <= laneY(index) + LANE);
  const value = lane < 0 || px < gutter ? undefined : LANES[lane].means[Math.floor(px - gutter)];
  if (value === undefined) return unpoint();
  const text = lane ? `${memory(value)} of ${memory(capacity)}` : `${(value / 1e3).toFixed(2)} of ${(graph.mbps / 1e3).toFixed(2)} GB/s`;
  return show({ name: lane ? "On-chip memory" : "DRAM bandwidth", rows: [["at", clock(timeAt(px), to - from, to)], ["in use", text]] }, px, py);
}

function unpoint() {
  [hovered, pointed] = [null, false];
  redraw();
}

function view(start, span) {
  const length = Math.min(graph.ns, Math.max(LEAST_SPAN, span));
  from = Math.max(0, Math.min(start, graph.ns - length));
  to = from + length;
  redraw();
}
const zoom = (factor, time) => view(time - (time - from) * factor, (to - from) * factor);
const centre = () => (picked && startOf(picked) < to && endOf(picked) > from ? (startOf(picked) + endOf(picked)) / 2 : (from + to) / 2);
const all = () => view(0, graph.ns);

canvas.addEventListener("wheel", (event) => {
  const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
  const unit = event.deltaMode === 1 ? 16 : 1;
  if (!sideways && event.deltaY > 0 && to - from >= graph.ns) return; // the page scrolls on
  event.preventDefault();
  if (sideways) view(from + (event.deltaX * unit) / scale(), to - from);
  else zoom(Math.exp(event.deltaY * unit * (event.ctrlKey ? 0.01 : 0.002)), timeAt(event.offsetX));
  point(event.offsetX, event.offsetY);
}, { passive: false });

const fingers = new Map();
let dragged = false;
canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, { px: event.offsetX, py: event.offsetY });
  if (fingers.size === 1) dragged = false;
});
canvas.addEventListener("pointermove", (event) => {
  const finger = fingers.get(event.pointerId);
  if (!finger) return point(event.offsetX, event.offsetY);
  const before = [...fingers.values()].map((each) => each.px);
  const moved = event.offsetX - finger.px;
  if (!dragged && fingers.size === 1 && Math.abs(moved) < 4) return undefined;
  dragged = true;
  unpoint();
  finger.px = event.offsetX;
  finger.py = event.offsetY;
  if (fingers.size === 1) return view(from - moved / scale(), to - from);
  const now = [...fingers.values()].map((each) => each.px);
  const apart = (each) => Math.max(12, Math.abs(each[0] - each[1]));
  const [old, middle] = [timeAt((before[0] + before[1]) / 2), (now[0] + now[1]) / 2];
  const span = ((to - from) * apart(before)) / apart(now);
  return view(old - ((middle - gutter) / (width - gutter)) * span, span);
});
function lift(event) {
  fingers.delete(event.pointerId);
  if (event.type === "pointercancel" || dragged) return;
  picked = hit(event.offsetX, event.offsetY);
  point(event.offsetX, event.offsetY);
  redraw();
}
canvas.addEventListener("pointerup", lift);
canvas.addEventListener("pointercancel", lift);
canvas.addEventListener("pointerleave", unpoint);

function pick(at) {
  if (!at) return;
  picked = at;
  const long = endOf(at) - startOf(at);
  if (long * scale() < 6) view(startOf(at) - long * 12, long * 25);
  else if (startOf(at) < from || endOf(at) > to) view(startOf(at) - (to - from) / 3, to - from);
  unpoint();
}

function nearest(row, time) {
  let best = null, least = Infinity;
  for (let run = 0; run < graph.runs.length; run++) {
    const segment = segmentOf(run), list = segment.rows[row];
    const place = after(segment, list, time - graph.runs[run][1]);
    for (const task of list.slice(Math.max(0, place - 1), place + 1)) {
      const at = { run, task };
      const far = Math.max(startOf(at) - time, time - endOf(at), 0);
      if (far < least) [best, least] = [at, far];
    }
  }
  return best;
}

function next(at, way) {
  const row = segmentOf(at.run).e[at.task];
  let place = segmentOf(at.run).place[at.task] + way;
  let run = at.run;
  for (;;) {
    const list = segmentOf(run).rows[row];
    if (place >= 0 && place < list.length) return { run, task: list[place] };
    run += way;
    if (run < 0 || run >= graph.runs.length) return null;
    place = way > 0 ? 0 : segmentOf(run).rows[row].length - 1;
  }
}

function step(way, down) {
  if (!picked) return pick(nearest(0, from));
  if (way) return pick(next(picked, way));
  const middle = (startOf(picked) + endOf(picked)) / 2;
  for (let row = segmentOf(picked.run).e[picked.task] + down; row >= 0 && row < graph.rows; row += down) {
    const found = nearest(row, middle);
    if (found) return pick(found);
  }
  return undefined;
}

const pan = (share) => view(from + share * (to - from), to - from);
const KEYS = {
  "+": () => zoom(0.6, centre()),
  "=": () => zoom(0.6, centre()),
  "-": () => zoom(1 / 0.6, centre()),
  "−": () => zoom(1 / 0.6, centre()),
  0: all,
  Home: all,
  ArrowLeft: (event) => (event.shiftKey ? pan(-0.2) : step(-1, 0)),
  ArrowRight: (event) => (event.shiftKey ? pan(0.2) : step(1, 0)),
  ArrowUp: () => step(0, -1),
  ArrowDown: () => step(0, 1),
  Escape: () => { picked = null; unpoint(); },
};
canvas.addEventListener("keydown", (event) => {
  if (!KEYS[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  KEYS[event.key](event);
});

function open(index) {
  const stage = DATA.variants[root.dataset.variant].stages[index];
  graph = unpack(DATA.graphs[stage[1]]);
  capacity = DATA.variants[root.dataset.variant].ocm;
  role("about").textContent = stage[2];
  canvas.setAttribute("aria-label", `Timeline of ${stage[0]}: ${stage[2]}`);
  picked = null;
  unpoint();
  all();
}

function fill() {
  const select = role("stage"), chosen = select.value;
  const { stages } = DATA.variants[root.dataset.variant];
  select.replaceChildren(...stages.map(([name]) => new Option(name, name)));
  const index = Math.max(0, stages.findIndex(([name]) => name === chosen));
  select.selectedIndex = index;
  open(index);
}

role("stage").addEventListener("change", (event) => open(event.target.selectedIndex));
role("in").addEventListener("click", () => zoom(0.6, centre()));
role("out").addEventListener("click", () => zoom(1 / 0.6, centre()));
role("all").addEventListener("click", all);
role("path").addEventListener("change", redraw);
root.addEventListener("axsim-variant", fill);
root.addEventListener("axsim-theme", () => ("printing" in root.dataset ? draw() : redraw()));
new ResizeObserver(redraw).observe(canvas);
fill();
