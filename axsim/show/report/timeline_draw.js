// Drawing: everything on the canvas, and the box of words about one task.
const top = () => RULER + (graph.titles ? TITLES : 0);
const rowY = (row) => top() + row * ROW;
const laneY = (lane) => rowY(graph.rows) + 12 + lane * (LANE + 10);
const scale = () => (width - gutter) / (to - from);
const x = (time) => gutter + (time - from) * scale();
const timeAt = (px) => from + (px - gutter) / scale();

function theme() {
  const dark = !("printing" in root.dataset) && (root.dataset.theme
    ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  const look = (pair) => {
    const hex = pair[dark ? 1 : 0], rgb = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
    const light = (0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]) / 255;
    return { fill: hex, text: light > 0.5 ? "#111" : "#fff" };
  };
  const moves = DATA.kinds.map(([, , pair]) => look(pair)), computes = graph.colours.map(look);
  const colour = (kind, engine) => (kind ? moves[kind] : computes[engine]);
  const lanes = DATA.lanes.map(look);
  return dark
    ? { paper: "#11151a", ink: "#e4e9ef", soft: "#9eabba", line: "#2a333e", lanes, colour }
    : { paper: "#ffffff", ink: "#17202b", soft: "#566274", line: "#e2e6eb", lanes, colour };
}

let waiting = false;
function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}

function draw() {
  const height = laneY(LANES.length);
  width = canvas.clientWidth || width;
  const ratio = Math.max(devicePixelRatio || 1, "printing" in root.dataset ? 2 : 1);
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
  }
  const t = theme();
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.fillStyle = t.paper;
  pen.fillRect(0, 0, width, height);
  pen.font = `12px ${getComputedStyle(root).fontFamily}`;
  pen.textBaseline = "middle";
  gutter = 10 + Math.max(44, ...graph.engines.map((name) => pen.measureText(name).width));
  ruler(t, height);
  names(t);
  pen.save();
  pen.beginPath();
  pen.rect(gutter, RULER, width - gutter, height);
  pen.clip();
  const only = role("path").checked;
  for (const run of runsIn(from, to)) tasks(t, run, only);
  LANES.forEach((lane, index) => area(t, lane, index));
  if (picked && segmentOf(picked.run).w[picked.task]) link(t, picked);
  for (const at of [hovered, picked]) if (at) outline(t, at, at === picked ? 2 : 1.25);
  pen.restore();
  if (!pointed) showTask(picked);
  canvas.dataset.from = Math.round(from);
  canvas.dataset.to = Math.round(to);
  role("range").textContent = `${clock(from, to - from, to)} to ${clock(to, to - from)} of ${clock(graph.ns, graph.ns)}`;
}

function ruler(t, height) {
  const least = ((to - from) * 84) / (width - gutter);
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((n) => n * power).find((each) => each >= least);
  pen.textAlign = "left";
  for (let time = Math.ceil(from / step) * step; time <= to; time += step) {
    pen.fillStyle = t.line;
    pen.fillRect(x(time), RULER - 7, 1, height);
    const text = clock(time, step * 10, to);
    if (x(time) + 4 + pen.measureText(text).width > width) continue;
    pen.fillStyle = t.soft;
    pen.fillText(text, x(time) + 4, 11);
  }
}

function names(t) {
  pen.textAlign = "left";
  graph.engines.forEach((name, row) => {
    pen.fillStyle = t.ink;
    pen.fillText(name, 0, rowY(row) + BAR / 2);
  });
  LANES.forEach((lane, index) => {
    pen.fillStyle = t.ink;
    pen.fillText(lane.name, 0, laneY(index) + 8);
    pen.fillStyle = t.soft;
    pen.fillText(index ? memory(capacity) : `${(graph.mbps / 1e3).toPrecision(2)} GB/s`, 0, laneY(index) + 24, gutter - 4);
  });
}

function tasks(t, run, only) {
  const [, offset, title] = graph.runs[run];
  const segment = segmentOf(run);
  const begin = x(offset), end = x(offset + segment.ns);
  if (title) {
    pen.fillStyle = t.line;
    pen.fillRect(begin, RULER, 1, rowY(graph.rows) - RULER);
    const visible = Math.max(begin, gutter);
    if (Math.min(end, width) - visible > pen.measureText(title).width + 8) {
      pen.fillStyle = t.soft;
      pen.textAlign = "left";
      pen.fillText(title, visible + 4, RULER + TITLES / 2 - 1);
    }
  }
  for (let row = 0; row < graph.rows; row++) tasksOf(t, segment, offset, row, only);
  pen.globalAlpha = 1;
}

function tasksOf(t, segment, offset, row, only) {
  const list = segment.rows[row], y = rowY(row), perNs = scale();
  let dense = null; // neighbours of one kind, each thinner than a pixel, are drawn as their mean
  const flush = () => {
    if (!dense) return;
    pen.globalAlpha = dense.alpha * Math.min(1, dense.covered / (dense.right - dense.left));
    pen.fillStyle = t.colour(dense.kind, row).fill;
    pen.fillRect(dense.left, y, dense.right - dense.left, BAR);
    dense = null;
  };
  for (let place = after(segment, list, from - offset); place < list.length; place++) {
    const task = list[place], kind = segment.k[task];
    const left = gutter + (offset + segment.start[task] - from) * perNs;
    if (left > width) break;
    const wide = segment.d[task] * perNs, right = left + wide;
    const alpha = only && !segment.critical[task] ? 0.16 : 1;
    if (wide < 1) {
      const joins = dense && dense.kind === kind && dense.alpha === alpha && left - dense.right < 1;
      if (!joins) flush();
      dense ??= { left, right, kind, alpha, covered: 0 };
      dense.right = right;
      dense.covered += wide;
      if (dense.right - dense.left > 2) flush();
      continue;
    }
    flush();
    pen.globalAlpha = alpha;
    pen.fillStyle = t.colour(kind, row).fill;
    pen.fillRect(left, y, wide > 4 ? wide - 1 : wide, BAR);
    if (DATA.kinds[kind][3] && wide > 5) hatch(left, y, wide - 1);
    if (wide > 34 && alpha === 1) label(t, segment, task, left, right, row);
  }
  flush();
}

function hatch(left, y, wide) {
  const begin = Math.max(left, gutter), end = Math.min(left + wide, width);
  pen.strokeStyle = "rgb(255 255 255 / 0.45)";
  pen.lineWidth = 1;
  pen.beginPath();
  for (let at = begin - ((begin - left) % 6); at < end; at += 6) {
    const over = Math.min(at + BAR / 2, end);
    pen.moveTo(at, y + BAR);
    pen.lineTo(over, y + BAR - 2 * (over - at));
  }
  pen.stroke();
}

function label(t, segment, task, left, right, row) {
  const begin = Math.max(left, gutter) + 5;
  const room = Math.min(right, width) - begin - 4;
  let text = segment.steps[segment.s[task]][0];
  if (room < 24) return;
  if (pen.measureText(text).width > room) {
    const fits = Math.floor((text.length * room) / pen.measureText(text).width) - 1;
    if (fits < 3) return;
    text = `${text.slice(0, fits)}…`;
  }
  pen.fillStyle = t.colour(segment.k[task], row).text;
  pen.textAlign = "left";
  if (DATA.kinds[segment.k[task]][3]) {
    const [was, size] = [pen.fillStyle, pen.measureText(text).width];
    pen.fillStyle = t.colour(segment.k[task], row).fill;
    pen.fillRect(begin - 3, rowY(row) + 2, size + 6, BAR - 4);
    pen.fillStyle = was;
  }
  pen.fillText(text, begin, rowY(row) + BAR / 2 + 0.5);
}

// The mean of a lane's value in every pixel.
function means(lane) {
  const count = Math.max(1, Math.ceil(width - gutter));
  const sums = new Float64Array(count + 1);
  for (const run of runsIn(from, to)) {
    const segment = segmentOf(run), offset = graph.runs[run][1];
    const entries = segment[lane.key];
    for (let i = 0; i < entries.length; i += 2) {
      if (!entries[i + 1]) continue;
      const start = Math.max(x(offset + entries[i]) - gutter, 0);
      const next = i + 2 < entries.length ? entries[i + 2] : segment.ns;
      const end = Math.min(x(offset + next) - gutter, count);
      for (let px = Math.floor(start); px < end; px++) {
        sums[px] += entries[i + 1] * (Math.min(end, px + 1) - Math.max(start, px));
      }
    }
  }
  return sums;
}

function area(t, lane, index) {
  const y = laneY(index), most = index ? capacity : graph.mbps;
  pen.fillStyle = t.line;
  pen.fillRect(gutter, y, width - gutter, 1);
  pen.fillRect(gutter, y + LANE, width - gutter, 1);
  pen.fillStyle = t.lanes[index].fill;
  pen.globalAlpha = index ? 0.55 : 1;
  lane.means = means(lane);
  lane.means.forEach((value, px) => {
    const high = Math.min(1, value / most) * LANE;
    if (high) pen.fillRect(gutter + px, y + LANE - high, 1, high);
  });
  pen.globalAlpha = 1;
}

function outline(t, at, line) {
  const row = segmentOf(at.run).e[at.task];
  pen.strokeStyle = t.ink;
  pen.lineWidth = line;
  pen.strokeRect(x(startOf(at)) - 1, rowY(row) - 1.5, Math.max(3, x(endOf(at)) - x(startOf(at)) + 1), BAR + 3);
}

// A line from the task that `at` waited for.
function link(t, at) {
  const segment = segmentOf(at.run), before = { run: at.run, task: at.task - segment.w[at.task] };
  pen.strokeStyle = t.ink;
  pen.setLineDash([4, 3]);
  outline(t, before, 1.25);
  pen.beginPath();
  pen.moveTo(x(endOf(before)), rowY(segment.e[before.task]) + BAR / 2);
  pen.lineTo(x(startOf(at)), rowY(segment.e[at.task]) + BAR / 2);
  pen.stroke();
  pen.setLineDash([]);
}

// A time that is told to a hundredth of `span`, in milliseconds when `most` is that long.
function clock(ns, span, most = ns) {
  const [unit, name] = most >= 1e6 ? [1e6, "ms"] : [1e3, "µs"];
  const digits = Math.max(0, Math.min(6, 2 - Math.floor(Math.log10(span / unit))));
  return `${(ns / unit).toFixed(digits)} ${name}`;
}
const memory = (bytes) => (bytes >= 2 ** 20 ? `${(bytes / 2 ** 20).toPrecision(3)} MiB` : `${Math.round(bytes / 1024)} KiB`);
const whole = (n) => Math.round(n).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");

function describe(at) {
  const segment = segmentOf(at.run), task = at.task;
  const [name, operator, macs] = segment.steps[segment.s[task]];
  const rows = [
    ["operator", operator],
    ["engine", `${graph.engines[segment.e[task]]}, ${DATA.kinds[segment.k[task]][1]}`],
    ["start", clock(startOf(at), 1e4)],
    ["duration", clock(segment.d[task], segment.d[task])],
  ];
  const bytes = segment.b[task];
  if (bytes) rows.push(["bytes", `${whole(bytes)} (${(bytes / segment.d[task]).toPrecision(3)} GB/s)`]);
  if (segment.k[task] === 0 && macs) rows.push(["MACs", `${whole(macs)} in the operator's ${segment.tiles[segment.s[task]]} tiles`]);
  if (segment.w[task]) {
    const other = task - segment.w[task];
    rows.push(["waited for", `${segment.steps[segment.s[other]][0]} on ${graph.engines[segment.e[other]]}`]);
  }
  if (segment.critical[task]) rows.push(["critical path", "yes"]);
  const title = graph.runs[at.run][2];
  return { name: title ? `${title}: ${name}` : name, rows };
}

function show(text, px, py) {
  tip.replaceChildren();
  const list = document.createElement("dl");
  tip.append(Object.assign(document.createElement("b"), { textContent: text.name }), list);
  for (const [term, value] of text.rows) {
    list.append(Object.assign(document.createElement("dt"), { textContent: term }));
    list.append(Object.assign(document.createElement("dd"), { textContent: value }));
  }
  tip.hidden = false;
  const left = px + 16 + tip.offsetWidth > width ? px - 16 - tip.offsetWidth : px + 16;
  tip.style.left = `${Math.max(0, Math.min(left, width - tip.offsetWidth))}px`;
  tip.style.top = `${py + 18}px`;
}

function showTask(at) {
  tip.hidden = !at || startOf(at) > to || endOf(at) < from;
  if (tip.hidden) return;
  const middle = (Math.max(startOf(at), from) + Math.min(endOf(at), to)) / 2;
  show(describe(at), x(middle), rowY(segmentOf(at.run).e[at.task]) + 6);
}
