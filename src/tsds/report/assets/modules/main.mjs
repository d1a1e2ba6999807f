// The page from its facts.
import { el, section } from "./dom.mjs";
import { makeState } from "./state.mjs";
import { glance } from "./glance.mjs";
import { pathExplorer } from "./path.mjs";
import { chosenList } from "./chosen.mjs";
import { mapView } from "./map.mjs";
import { coverage } from "./coverage.mjs";
import { shift } from "./shift.mjs";
import { comparison } from "./comparison.mjs";
import { settings } from "./settings.mjs";

function themeButton(state) {
  const order = ["auto", "light", "dark"], button = el("button", { type: "button", class: "theme" });
  const name = () => { button.textContent = `Theme: ${state.get().theme}`; };
  button.addEventListener("click", () => {
    const theme = order[(order.indexOf(state.get().theme) + 1) % order.length];
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    state.set({ theme });
    name();
  });
  name();
  return button;
}

function buildPage() {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const facts = read("facts"), explorer = read("explorer"), page = document.getElementById("page");
  const state = makeState({ stop: Math.max(0, explorer.stops.findIndex((stop) => stop.here)), query: "", order: "shown", group: null, task: null, kept: null, keptWhy: "", theme: "auto" });
  const map = mapView(facts, explorer, state), list = explorer.chosen.length ? chosenList(facts, explorer, state) : null;
  const why = list ? section("why", "Why these", el("p", { class: "soft" }, "Each chosen record beside the target that gives it most of its mass."), el("div", { class: "columns why" }, map, list)) : null;
  const parts = [
    ["Path", pathExplorer(facts, explorer, state)], ["Why these", why], ["Coverage", coverage(facts, explorer, state)],
    ["Shift", shift(facts, explorer)], ["Comparison", comparison(facts, explorer)], ["Settings", settings(facts)],
  ].filter(([, part]) => part);
  const links = parts.map(([name, part]) => el("button", { type: "button", onclick: () => { part.scrollIntoView(); part.tabIndex = -1; part.focus({ preventScroll: true }); } }, name));
  const nav = el("nav", { "aria-label": "sections" }, el("span", { class: "mark" }, "tsds"), el("div", { class: "links" }, ...links), themeButton(state));
  page.replaceChildren(glance(facts, explorer), ...parts.map(([, part]) => part));
  page.before(nav);
  document.documentElement.dataset.ready = "yes";
}

buildPage();
