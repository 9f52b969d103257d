// The work list: the images that need somebody, by cause, with what can be done.
import { $, about, ask, attempt, button, count, element, go, remedy, say, state } from "./core.js";
import { act, matching } from "./list.js";

export async function load() {
  if (state.view !== "work") return;
  await attempt(async () => {
    const { work, progress } = await ask("api/work");
    const view = $("view-work");
    const made = JSON.stringify([work, progress.complete, say("other")]);
    if (view.dataset.made === made) return;
    view.dataset.made = made;
    const title = (each) => (each.cause === each.state ? say("state")[each.state] : each.cause);
    view.replaceChildren(element("h2", { id: "work-title", textContent: say("work") }),
      progress.complete ? "" : element("p", { className: "note", textContent: say("listing", count(progress.listed)) }),
      work.length ? element("ul", { className: "work" }, ...work.map((each) => element("li", { className: each.state },
        element("h3", { textContent: title(each) }), element("p", { className: "many", textContent: say("images#", count(each.images)) }),
        element("p", { textContent: remedy(each.cause) }),
        element("div", { className: "bar" },
          button("showThem", () => go({ view: "", filter: each.state, code: each.code, page: "1" }), { "aria-label": `${say("showThem")}: ${title(each)}` }),
          each.action === "review" && about.canReview ? button("review", () => startReview(each), { className: "primary", "aria-label": `${say("review")}: ${title(each)}` }) : null,
          (each.action === "retry" || each.action === "force") && about.canAct
            ? button(each.action === "force" ? "forceMore" : "retryMore", () => attempt(async () => act(each.action, await matching(each.state, each.code))), { "aria-label": `${say(each.action === "force" ? "forceMore" : "retryMore")} ${title(each)}` }) : null))))
        : element("p", { textContent: say("noWork") }));
  });
}

async function startReview(each) {
  const [first] = await matching(each.state, each.code);
  if (first) go({ view: "", filter: each.state, code: each.code, sort: "uploaded up", page: "1", image: first, review: "1" });
}
