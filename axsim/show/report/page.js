// The page around the timeline: theme, choice of the variant, printing.
const root = document.documentElement;
root.classList.add("js");

const dark = matchMedia("(prefers-color-scheme: dark)");
const button = document.getElementById("theme");
const changed = () => root.dispatchEvent(new Event("axsim-theme"));
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
const label = () => {
  button.setAttribute("aria-pressed", String(isDark()));
  changed();
};
button.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  label();
});
dark.addEventListener("change", label);
label();

const select = document.getElementById("variant");
const panels = [...document.querySelectorAll(".variant")];
const choosers = [...document.querySelectorAll("[data-choose]")];
function choose(name) {
  root.dataset.variant = name;
  if (select) select.value = name;
  for (const panel of panels) panel.classList.toggle("shown", panel.dataset.variant === name);
  for (const each of choosers) {
    const picked = each.dataset.choose === name;
    each.setAttribute("aria-pressed", String(picked));
    each.closest("tr").classList.toggle("picked", picked);
  }
  root.dispatchEvent(new Event("axsim-variant"));
}
for (const each of choosers) each.addEventListener("click", () => choose(each.dataset.choose));
if (select) select.addEventListener("change", () => choose(select.value));
if (choosers.length) choose(choosers[0].dataset.choose);

// A link to a row that is folded away unfolds it.
function unfold() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const folded = target && target.closest("details:not([open])");
  if (folded) {
    folded.open = true;
    target.scrollIntoView({ block: "center" });
  }
}
addEventListener("hashchange", unfold);
unfold();

// On paper everything is unfolded, and light.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const each of folded) each.open = true;
  root.dataset.printing = "";
  changed();
});
addEventListener("afterprint", () => {
  for (const each of folded) each.open = false;
  delete root.dataset.printing;
  changed();
});
