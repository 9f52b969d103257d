// The chosen image: picture, card, checks, steps, requests, review.
import { $, about, ask, attempt, badge, button, element, go, onState, post, remedy, say, state, tell, time } from "./core.js";
import { act, load, neighbor } from "./list.js";

const order = ["claim", "look", "recognize", "write", "release"];
const fields = ["name", "sex", "ethnicity", "birthDate", "address", "idNumber"];
const revealed = new Set(); // ids
let detail = null;
let steps = new Map(); // by ID: what is known of them is merged, never dropped
let editing = false;
let zoom = 1;
let turn = 0;
const open = new Set(); // what is unfolded
let shown = ""; // what the detail was made of: it is made anew only if that changes, so that no click or selected text is lost

const isRevealed = () => revealed.has(state.image) || state.review === "1";

/** merge takes a step over unless more is known of it. */
function merge(step) {
  const known = steps.get(step.id);
  if (known && step.open && !known.open) return;
  steps.set(step.id, { ...step, durationMs: step.durationMs || known?.durationMs || 0 });
}

export function onStep(step) {
  if (step.image !== state.image) return;
  merge(step);
  show();
  if (step.step !== "upload") refresh();
}

let asking = null;
let again = false;
/** refresh asks for the chosen image anew. */
export async function refresh() {
  if (asking) {
    again = true;
    return asking;
  }
  asking = (async () => {
    do {
      again = false;
      const id = state.image;
      if (!id) break;
      try {
        const answer = await ask(`api/image?id=${id}${isRevealed() ? "&reveal=1" : ""}`);
        if (id !== state.image) {
          again = true;
          continue;
        }
        detail = answer;
        for (const step of detail.history?.steps ?? []) merge(step);
        show();
      } catch (error) {
        if (id === state.image) {
          if (error.code === "ImageNotFound") go({ image: "", review: "" }, true);
          tell(error.message);
        }
      }
    } while (again);
    asking = null;
  })();
  return asking;
}

/** progress tells how far the image's last invocation is: [step, word of its state]. */
export function progress(list, image) {
  const final = !["working", "waiting", "stale", "retrying"].includes(image.state);
  const sorted = [...list].filter((step) => order.includes(step.step)).sort((a, b) => new Date(a.time) - new Date(b.time));
  let from = sorted.findIndex((step) => step.step === "claim");
  if (from < 0) {
    if (image.state === "waiting" || (image.state === "working" && image.known)) return order.map((step, n) => [step, n ? "waiting" : "current"]);
    return order.map((step) => [step, "unknown"]);
  }
  let released = false;
  sorted.forEach((step, n) => { // what came after the last release counts, if the image was claimed since
    if (released && step.step === "claim") [from, released] = [n, false];
    if (step.step === "release") released = true;
  });
  const failed = final ? "failed" : "trouble";
  const reached = {};
  for (const step of sorted.slice(from)) {
    if (step.service === "gateway") reached.recognize = step.open ? "current" : step.charged || /^(recognized|unrecognized)/.test(step.outcome) ? "done" : failed;
    else if (step.caller === "presigned") reached.recognize ??= "current";
    else if ((step.status >= 200 && step.status < 300) || (step.step === "look" && step.status === 404)) {
      if (step.step !== "recognize") reached[step.step] = "done";
      else reached.recognize ??= "current"; // the function reads the picture itself
    } else if (step.step === "claim" && step.status === 409) reached.claim ??= "current"; // somebody else has it
    else reached[step.step] = failed;
  }
  if (reached.write === "done" && reached.recognize === "current") reached.recognize = image.document?.card || final ? "done" : failed;
  const last = order.findLastIndex((step) => reached[step]);
  return order.map((step, n) => {
    if (reached[step]) return [step, reached[step]];
    if (n < last || final) return [step, final && !image.known ? "unknown" : "skipped"];
    return [step, n === last + 1 && image.state === "working" && (last < 0 || reached[order[last]] === "done") ? "current" : "waiting"];
  });
}

const checks = { sex: ["sex"], birthDate: ["birthDate"], idNumber: ["checkDigit", "region"] };

function check(field, card, validation) {
  if (!card[field]) return ["warn", say("notRead")];
  if (!checks[field]) return ["good", say("read")];
  const made = checks[field].map((name) => [name, validation?.[name]]).filter(([, passed]) => passed !== undefined);
  if (field === "idNumber" && validation?.checkDigit === false) return ["warn", say("badId")];
  if (field === "idNumber" && validation?.region === false) return ["warn", say("badRegion")];
  if (made.some(([, passed]) => !passed)) return ["warn", say("bad")];
  return made.length ? ["good", say("ok")] : ["warn", say("unchecked")];
}

function showPicture(body) {
  const allowed = about.sandbox || isRevealed();
  let figure = body.querySelector("figure");
  if (!figure) {
    figure = element("figure", { id: "figure" },
      element("div", { className: "frame", tabIndex: 0, role: "region" }, element("img", { id: "picture", alt: "" })), element("figcaption", { id: "no-picture", hidden: true }),
      element("div", { id: "picture-tools", className: "bar" }));
    figure.querySelector("img").addEventListener("error", () => {
      figure.querySelector(".frame").hidden = true;
      $("no-picture").hidden = false;
      $("no-picture").textContent = say("noPicture");
    });
  }
  const image = figure.querySelector("img");
  figure.querySelector(".frame").setAttribute("aria-label", say("pictureOf", detail?.key ?? ""));
  if (image.dataset.id !== state.image || image.dataset.allowed !== String(allowed)) {
    image.dataset.id = state.image;
    image.dataset.allowed = allowed;
    figure.querySelector(".frame").hidden = !allowed;
    figure.querySelector("#no-picture").hidden = allowed;
    figure.querySelector("#no-picture").textContent = say("pictureHidden");
    if (allowed) image.src = `api/picture?id=${state.image}`;
    else image.removeAttribute("src");
  }
  image.alt = say("pictureOf", detail?.key ?? "");
  image.style.transform = `rotate(${turn}deg) scale(${zoom})`;
  const tool = (word, change) => button(word, () => {
    change();
    show();
    $(`tool-${word}`).focus();
  }, { id: `tool-${word}` });
  figure.querySelector("#picture-tools").replaceChildren(...(allowed ? [
    tool("zoomIn", () => { zoom = Math.min(6, zoom * 1.4); }), tool("zoomOut", () => { zoom = Math.max(.5, zoom / 1.4); }), tool("rotate", () => { turn = (turn + 90) % 360; })] : []));
  return figure;
}

function verdict() {
  const row = detail;
  const node = element("div", { id: "verdict", className: row.state });
  const code = row.code && !row.document?.card ? `: ${row.code}` : "";
  node.append(element("b", { textContent: say("verdict")[row.state] + code }));
  const hint = row.document?.card ? (row.state === "consistent" ? "" : remedy(row.state)) : remedy(row.code ?? row.state);
  if (row.gaveUp) node.append(element("span", { textContent: say("gaveUp") }));
  else if (row.state === "retrying") node.append(element("span", { textContent: say("triedAgain") }));
  if (hint) node.append(element("span", { textContent: hint }));
  if (row.reviewed && row.review) node.append(element("span", { textContent: say("reviewedBy", row.review.reviewedBy, say(row.review.decision)) }));
  return node;
}

function cardOf() {
  const { document, review } = detail;
  if (detail.reviewed && review) return [review.after, review.validation];
  return [document?.card ?? {}, document?.validation];
}

function showCard() {
  const [card, validation] = cardOf();
  const list = element("dl", { id: "card" });
  if (!detail.document?.card && !editing && !(detail.reviewed && detail.review)) return list;
  for (const field of fields) {
    const value = element("dd");
    if (editing) {
      value.append(element("input", { id: `edit-${field}`, value: card[field] ?? "", autocomplete: "off", "aria-label": say(field) }));
    } else {
      const [kind, text] = check(field, card, validation);
      value.append(element("span", { className: "value", textContent: card[field] || "–" }), element("span", { className: `check ${kind}`, textContent: text }));
    }
    const before = detail.review?.before?.[field];
    if (!editing && detail.reviewed && detail.review?.decision === "corrected" && before !== card[field]) {
      value.append(element("span", { className: "before", textContent: say("was", before || "–") }));
    }
    list.append(element("dt", { textContent: say(field) }), value);
  }
  return list;
}

function tools() {
  const bar = element("div", { className: "bar", id: "tools" });
  const final = detail.document && !detail.document.error?.retryable;
  bar.append(button(isRevealed() ? "concealAll" : "revealAll", toggleReveal, { id: "reveal" }));
  if (about.canReview && final) {
    if (editing) bar.append(button("save", () => review(edited()), { id: "save", className: "primary" }), button("cancel", stopEditing));
    else bar.append(button("confirm", () => confirm(), { id: "confirm", disabled: !isRevealed() || !detail.document.card }), button("correct", edit, { id: "correct" }));
  }
  const [able] = cardOf();
  if (isRevealed() && able.idNumber) bar.append(button("copy", () => attempt(async () => {
    await navigator.clipboard.writeText(fields.map((field) => able[field]).join("\t"));
    tell(say("copied"), "good");
  })));
  for (const what of ["picture", "document", "review"]) {
    if (what === "document" && !detail.document || what === "review" && !detail.review) continue;
    bar.append(element("a", { href: `api/download?id=${state.image}&what=${what}`, download: "", textContent: say("download", say(what)) }));
  }
  if (about.canAct) bar.append(button(final ? "forceOne" : "retryOne", () => act(final ? "force" : "retry", [state.image]), { id: "act" }));
  if (!about.sandbox && about.region) bar.append(element("a", { target: "_blank", rel: "noreferrer",
    href: `https://oss.console.aliyun.com/bucket/oss-${about.region}/${about.bucket}/object`, textContent: say("openOSS") }));
  return bar;
}

function requests(list) {
  const known = detail.history;
  if (!known) return null;
  const box = element("details", { id: "requests-box", open: open.has("requests-box") }, element("summary", { textContent: say("requests") }));
  box.addEventListener("toggle", () => open[box.open ? "add" : "delete"]("requests-box"));
  box.append(element("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": say("requests") }, element("table", { "aria-label": say("requests") },
    element("thead", {}, element("tr", {}, ...["time", "step", "request", "answer"].map((word) => element("th", { scope: "col", textContent: say(word) })),
      element("th", { scope: "col", className: "number", textContent: "ms" }))),
    element("tbody", { id: "requests" }, ...list.map((step) => element("tr", {},
      element("td", { textContent: time(step.time) }), element("td", { textContent: say(step.step) }),
      element("td", { textContent: `${step.service.toUpperCase()} ${step.operation}${step.caller === "presigned" ? " (URL)" : ""}` }),
      element("td", { textContent: step.service === "gateway" ? (step.open ? say("current") : step.outcome + (step.charged ? `, ${say("charged")}` : "")) : step.status || say("noAnswer") }),
      element("td", { className: "number", textContent: step.durationMs ? step.durationMs.toFixed(1) : "" })))))));
  return box;
}

function cost() {
  const ocr = detail.document?.ocr;
  const parts = [];
  if (detail.history && detail.calls) parts.push(say("calls", detail.calls, detail.charges));
  else if (ocr?.attempts) parts.push(say("callsOfDocument", ocr.attempts, ocr.charged));
  else if (detail.history && !detail.known) parts.push(say("callsUnknown"));
  else if (detail.history) parts.push(say("calls", 0, 0));
  if (ocr?.reusedFrom) parts.push(say("reused", ocr.reusedFrom));
  if (ocr?.possibleExtraCharges) parts.push(say("extra", ocr.possibleExtraCharges));
  return element("p", { id: "cost", textContent: parts.join(" ") });
}

export function show() {
  const body = $("detail");
  body.hidden = !state.image;
  $("view-images").classList.toggle("with-detail", Boolean(state.image));
  if (!state.image || detail?.id !== state.image) {
    body.replaceChildren();
    shown = "";
    return;
  }
  if (editing && body.querySelector("#edit-name")) return; // what somebody types is not taken away
  const made = JSON.stringify([detail, [...steps.values()], editing, zoom, turn, state.review, say("other")]);
  if (made === shown) return;
  shown = made;
  const focused = document.activeElement?.id;
  const list = [...steps.values()].sort((a, b) => new Date(a.time) - new Date(b.time));
  const bar = element("ol", { id: "steps", "aria-label": say("steps") });
  for (const [step, how] of progress(list, detail)) {
    const item = element("li", { className: how }, element("b", { textContent: say(step) }), element("small", { textContent: say(how) }));
    if (how === "current") item.setAttribute("aria-current", "step");
    bar.append(item);
  }
  const figure = showPicture(body);
  const text = element("details", { id: "document-box", open: open.has("document-box") }, element("summary", { textContent: say("document") }),
    element("pre", { id: "document", tabIndex: 0, "aria-label": say("document"), textContent: detail.document ? JSON.stringify(detail.document, null, 2) : "" }));
  text.addEventListener("toggle", () => open[text.open ? "add" : "delete"]("document-box"));
  const head = element("div", { className: "bar head" },
    button("back", () => go({ image: "", review: "" }), { id: "back" }),
    element("h2", { id: "detail-title", textContent: detail.key }), badge(detail),
    element("span", { className: "pager" },
      element("button", { type: "button", textContent: "‹", "aria-label": say("previousImage"), on: { click: () => move(-1) } }),
      element("button", { type: "button", textContent: "›", "aria-label": say("nextImage"), on: { click: () => move(1) } })));
  const pair = element("div", { className: "pair" }, figure, element("div", { className: "facts" }, verdict(), showCard(), cost(), tools()));
  const scroll = body.scrollTop;
  body.replaceChildren(...[head, detail.history ? bar : null, pair, requests(list), detail.document ? text : null].filter(Boolean));
  body.scrollTop = scroll;
  if (focused && body.querySelector(`#${CSS.escape(focused)}`)) $(focused).focus({ preventScroll: true });
}

async function toggleReveal() {
  if (isRevealed()) {
    revealed.delete(state.image);
    if (state.review) go({ review: "" }, true);
  } else revealed.add(state.image);
  await refresh();
}

// Reviewing.

async function edit() {
  if (!isRevealed()) {
    revealed.add(state.image);
    await refresh();
  }
  editing = true;
  show();
  $("edit-name")?.focus();
}

function stopEditing() {
  editing = false;
  shown = "";
  $("detail").replaceChildren();
  show();
  $("detail").focus({ preventScroll: true });
}

const edited = () => Object.fromEntries(fields.map((field) => [field, $(`edit-${field}`).value.trim()]));
const confirm = () => review(cardOf()[0]);

async function review(card) {
  await attempt(async () => {
    const done = await post("api/reviews", { id: state.image, completedAt: detail.document.completedAt, card });
    tell(say("reviewStored", say(done.decision), say("state")[done.verdict]), "good");
    editing = false;
    shown = "";
    $("detail").replaceChildren();
    await load();
    await refresh();
    $("detail").focus({ preventScroll: true });
  });
}

function move(step) {
  const to = neighbor(step);
  if (to) go({ image: to.id });
}

export function start() {
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || !state.image || $("dialog").open) return;
    if (event.target.closest?.("input, select, textarea")) {
      if (event.key === "Escape" && editing) stopEditing();
      if (event.key === "Enter" && editing) review(edited());
      return;
    }
    if (event.target.closest?.("#rows")) return; // has keys of its own
    const keys = {
      Escape: () => go({ image: "", review: "" }), n: () => move(1), p: () => move(-1),
      c: () => $("confirm") && !$("confirm").disabled && confirm(), e: () => $("correct") && edit(), v: toggleReveal,
      "+": () => $("tool-zoomIn")?.click(), "-": () => $("tool-zoomOut")?.click(), o: () => $("tool-rotate")?.click(),
    };
    if (keys[event.key]) {
      event.preventDefault();
      keys[event.key]();
    }
  });
  onState((before) => {
    if (before.image !== state.image) {
      editing = false;
      [detail, zoom, turn] = [null, 1, 0];
      steps = new Map();
      show();
      if (state.image) refresh().then(() => $("detail").focus({ preventScroll: true }));
    } else if (before.review !== state.review) refresh();
  });
}
