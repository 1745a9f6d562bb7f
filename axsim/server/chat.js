"use strict";

const at = id => document.getElementById(id);
let conversation = [];    // messages as the server takes them
let pictures = [];        // data URIs of the next question
let asking = null;        // what ends the answer under way
let model = null;

async function begin() {
  const found = await (await fetch("v1/models")).json();
  model = found.data[0];
  const about = model.axsim;
  at("model").textContent = `${model.id} on ${about.chip}`;
  const pace = about.pace === "chip" ? "at the pace of the chip" : "at the pace of this machine";
  at("about").textContent =
    `${about.variant}, ${about.npu_mode}, ${about.context_length} tokens of context, ${pace}`;
  document.title = `${model.id}: axsim serve`;
  at("notice").hidden = !about.notice;
  if (about.notice) at("notice").textContent = `Every answer begins with ${about.notice}.`;
  at("add").hidden = !about.sees;
}

// ---- the simulated clock: it stands at the last piece, and goes on towards the next

const clock = { ms: 0, next: 0, since: 0, running: false };

function tick() {
  if (!clock.running) return;
  const paced = model.axsim.pace === "chip";
  const passed = paced ? performance.now() - clock.since : 0;
  show(Math.min(clock.ms + passed, Math.max(clock.next, clock.ms)));
  requestAnimationFrame(tick);
}

function show(ms) { at("time").textContent = `${(ms / 1000).toFixed(3)} s`; }

function reach(simulated) {
  Object.assign(clock, { ms: simulated.ms, next: simulated.next_ms, since: performance.now() });
  if (!clock.running) { clock.running = true; requestAnimationFrame(tick); }
}

function halt(ms) { clock.running = false; show(ms); }

// ---- the conversation

function article(role, title) {
  const made = document.createElement("article");
  made.className = role;
  const heading = document.createElement("h2");
  heading.textContent = title;
  made.append(heading);
  at("messages").append(made);
  return made;
}

function line(parent, text, kind = "") {
  const made = document.createElement("p");
  made.className = kind;
  made.textContent = text;
  parent.append(made);
  at("messages").scrollTop = at("messages").scrollHeight;
  return made;
}

function image(parent, source) {
  const made = document.createElement("img");
  made.src = source;
  made.alt = "picture of the question";
  parent.append(made);
}

function state(text) { at("state").textContent = text; }

async function ask(text) {
  const turns = conversation;
  const content = [...pictures.map(url => ({ type: "image_url", image_url: { url } })),
                   { type: "text", text }];
  turns.push({ role: "user", content: pictures.length ? content : text });
  const question = article("user", "You");
  pictures.forEach(each => image(question, each));
  line(question, text);
  const answer = article("assistant", model.id);
  const said = line(answer, "");
  setPictures([]);
  for (const id of ["first", "ttft", "speed", "prompt"]) at(id).textContent = "–";
  asking = new AbortController();
  at("send").disabled = true;
  at("stop").hidden = false;
  state("waiting");
  halt(0);
  try {
    await answered(said, answer);
  } catch (error) {
    state(error.name === "AbortError" ? "stopped" : "failed");
    halt(clock.ms);
    if (error.name !== "AbortError") line(answer, error.message, "error");
  }
  // A question that got no answer is asked no second time with the next one.
  if (said.textContent) turns.push({ role: "assistant", content: said.textContent });
  else turns.pop();
  asking = null;
  at("send").disabled = false;
  at("stop").hidden = true;
}

async function answered(said, answer) {
  const response = await fetch("v1/chat/completions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    signal: asking.signal,
    body: JSON.stringify({
      model: model.id, messages: conversation, stream: true,
      stream_options: { include_usage: true },
      max_tokens: Number(at("limit").value) || 64,
      temperature: Number(at("temperature").value) || 0,
    }),
  });
  if (!response.ok) throw new Error((await response.json()).error.message);
  for await (const event of events(response.body)) {
    if (event.error) throw new Error(event.error.message);
    if (event.simulated) reach(event.simulated);
    const delta = event.choices.length ? event.choices[0].delta : {};
    if (delta.role) state("prefill");
    if (delta.content) {
      state("answering");
      if (!said.textContent) at("first").textContent = `${(clock.ms / 1000).toFixed(3)} s`;
      said.textContent += delta.content;
      at("messages").scrollTop = at("messages").scrollHeight;
    }
    if (event.usage) finish(event.usage, answer);
  }
}

function finish(usage, answer) {
  const chip = usage.simulated;
  const speed = chip.decode_tokens_per_s;
  const cached = usage.prompt_tokens_details.cached_tokens;
  halt(chip.total_ms);
  state("done");
  at("first").textContent = `${(chip.image_to_first_token_ms / 1000).toFixed(3)} s`;
  at("ttft").textContent = `${chip.ttft_ms.toFixed(1)} ms`;
  at("speed").textContent = speed ? `${speed.toFixed(2)} tokens/s` : "–";
  at("prompt").textContent = `${usage.prompt_tokens}, ${cached} cached`;
  const tokens = `${usage.completion_tokens} tokens`;
  line(answer, `${tokens} in ${(chip.total_ms / 1000).toFixed(3)} s on the chip`, "times");
}

// The documents of server-sent events.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    buffer += value;
    const parts = buffer.split("\n\n");
    buffer = parts.pop();
    for (const part of parts)
      if (part.startsWith("data: ") && part !== "data: [DONE]") yield JSON.parse(part.slice(6));
  }
}

// ---- pictures and buttons

function setPictures(found) {
  pictures = found;
  at("pictures").replaceChildren();
  pictures.forEach(each => image(at("pictures"), each));
}

function read(file) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(file);
  });
}

at("picture").addEventListener("change", async event => {
  const files = [...event.target.files];
  event.target.value = "";
  setPictures([...pictures, ...await Promise.all(files.map(read))]);
});

at("ask").addEventListener("submit", event => {
  event.preventDefault();
  const text = at("text").value.trim();
  if (asking || !model || (!text && !pictures.length)) return;
  at("text").value = "";
  ask(text);
});

at("text").addEventListener("keydown", event => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  at("ask").requestSubmit();
});

at("stop").addEventListener("click", () => asking && asking.abort());

at("new").addEventListener("click", () => {
  if (asking) asking.abort();
  conversation = [];
  at("messages").replaceChildren();
  setPictures([]);
  halt(0);
  state("ready");
  at("text").focus();
});

begin().catch(error => state(`no server: ${error.message}`));
