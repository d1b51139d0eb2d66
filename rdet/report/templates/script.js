"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  table.tHead.addEventListener("click", (event) => {
    const th = event.target.closest("th");
    if (!th) return;
    const index = th.cellIndex;
    const numeric = th.classList.contains("n");
    const down = th.ariaSort === "none" ? numeric : th.ariaSort === "ascending";
    for (const other of th.parentNode.cells) other.ariaSort = "none";
    th.ariaSort = down ? "descending" : "ascending";
    const value = (row) => (numeric ? row.cells[index].dataset.v : row.cells[index].textContent);
    const order = (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (numeric && (x === "" || y === "")) return (x === "") - (y === "");
      return (numeric ? x - y : x.localeCompare(y)) * (down ? -1 : 1);
    };
    body.append(...[...body.rows].sort(order));
  });
}
const shown = document.body.classList;
const viewer = document.getElementById("viewer");
const legend = document.querySelector(".legend");
if (legend) viewer.querySelector(".switches").replaceWith(legend.cloneNode(true));
function apply(input) {
  shown.toggle("no-" + input.dataset.kind, !input.checked);
  for (const same of document.querySelectorAll(`[data-kind="${input.dataset.kind}"]`)) same.checked = input.checked;
}
document.querySelectorAll(".legend [data-kind]").forEach(apply);
document.addEventListener("change", (event) => event.target.dataset.kind && apply(event.target));
const stage = viewer.querySelector(".stage");
const figures = [...document.querySelectorAll(".gallery figure")];
let at = 0;
function show(index) {
  at = (index + figures.length) % figures.length;
  stage.replaceChildren(
    ...[...figures[at].querySelectorAll("svg")].map((svg) => {
      const copy = svg.cloneNode(true);
      const image = copy.querySelector("image");
      if (image) image.removeAttribute("id");
      return copy;
    }),
  );
  viewer.querySelector(".caption").textContent = figures[at].querySelector("figcaption").innerText;
}
figures.forEach((figure, index) =>
  figure.querySelector(".panes").addEventListener("click", () => {
    show(index);
    viewer.showModal();
  }),
);
viewer.addEventListener("click", (event) => event.target === viewer && viewer.close());
viewer.addEventListener("keydown", (event) => {
  if (event.key === "ArrowRight") show(at + 1);
  if (event.key === "ArrowLeft") show(at - 1);
});
