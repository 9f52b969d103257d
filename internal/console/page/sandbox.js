// What only a sandbox has: specimen cards, faults and chaos as switches. The paths are those of its management port.
import { $, about, ask, attempt, button, element, post, say, state } from "./core.js";
import { sample } from "./upload.js";

const faults = [
  ["lostAnswer", { endpoint: "gateway", phase: "after-charge" }],
  ["throttled", { endpoint: "gateway", phase: "throttle" }],
  ["slowProvider", { endpoint: "gateway", phase: "latency", latencyMs: 5000 }],
  ["resultRefused", { endpoint: "oss", operation: "PUT", keySuffix: ".ocr.json", phase: "before-accept" }],
];

function toggle(word, on, change) {
  const box = element("input", { type: "checkbox", checked: on });
  box.addEventListener("change", () => attempt(async () => {
    await change(box.checked);
    await load();
  }));
  return element("label", { className: "check-label" }, box, " ", element("span", { textContent: say(word) }));
}

export async function load() {
  if (state.view !== "sandbox" || !about.sandbox) return;
  await attempt(async () => {
    const [{ faults: rules }, events, chaos, { failures }] = await Promise.all([ask("faults"), ask("events"), ask("chaos"), ask("failures")]);
    const made = JSON.stringify([rules, events, chaos, failures, say("other")]);
    if ($("view-sandbox").dataset.made === made) return;
    $("view-sandbox").dataset.made = made;
    const json = (method, path, body) => ask(path, { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
    const order = (rule) => attempt(async () => {
      await post("faults", rule);
      await load();
    });
    const focused = document.activeElement?.textContent;
    $("view-sandbox").replaceChildren(element("h2", { id: "sandbox-title", textContent: say("sandboxView") }),
      element("h3", { textContent: say("samples") }),
      about.samples.length ? element("div", { className: "bar wrap" }, ...about.samples.sort().map((name) => element("button", { type: "button", textContent: name, on: { click: () => sample(name) } })))
        : element("p", { textContent: say("noSamples") }),
      element("h3", { textContent: say("eventsTitle") }),
      toggle("duplicate", events.duplicate, (enabled) => post("events/duplicate", { enabled })),
      toggle("reorder", events.reorder, (enabled) => post("events/reorder", { enabled })),
      toggle("chaos", chaos.enabled, (enabled) => json("PUT", "chaos", { enabled })),
      element("h3", { textContent: say("faultsTitle") }),
      element("div", { className: "bar wrap" }, ...faults.map(([word, rule]) => button(word, () => order(rule))),
        button("expire", () => attempt(async () => {
          await ask("credentials/expire", { method: "POST" });
        }))),
      rules.length ? element("table", { "aria-label": say("faultsTitle") },
        element("thead", {}, element("tr", {}, ...["fault", "struck", ""].map((word) => element(word ? "th" : "td", { textContent: word && say(word) })))),
        element("tbody", {}, ...rules.map((rule) => element("tr", {}, element("td", { textContent: [rule.endpoint, rule.operation, rule.keySuffix, rule.phase].filter(Boolean).join(" ") }),
          element("td", { className: "number", textContent: String(rule.struck) }),
          element("td", {}, button("remove", () => attempt(async () => {
            await fetch(`faults/${rule.id}`, { method: "DELETE" });
            await load();
          }), { "aria-label": `${say("remove")} ${rule.phase}` })))))) : element("p", { textContent: say("noFaults") }),
      element("h3", { textContent: say("failuresTitle") }),
      failures.length ? element("ul", { className: "plain" }, ...failures.map((each) => element("li", {}, element("code", { textContent: each.file }), ` ${each.key} `, element("small", { textContent: each.error }))))
        : element("p", { textContent: say("noFailures") }));
    if (focused) [...$("view-sandbox").querySelectorAll("button")].find((each) => each.textContent === focused)?.focus();
  });
}
