// Thumbnails, and the keys that answer. A key counts for the picture that is marked when it is
// pressed: the mark moves on at once, and the server hears of each event in its order, however
// long it takes to draw. Until it has heard of all, what was pressed here stands over what it says.
const CONTROLS = "button, a[href], summary";
const FIELDS = "input:not([type=checkbox]), textarea, select, [contenteditable=true]";
const TILE = '<button type="button"><img alt=""><span class="pick" aria-hidden="true"></span>' +
  '<span class="mark" aria-hidden="true"></span><span class="label" aria-hidden="true"></span>' +
  "</button>";

function focused() {
  let element = document.activeElement;
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  return element;
}

class Gallery {
  constructor(list) {
    this.list = list;
    this.rows = new Map();
    this.unheard = [];
    this.count = 0;
    this.said = new Set();
    this.onKey = (event) => this.key(event);
    this.onThumbnails = () => this.draw();
  }

  update(data, send) {
    Object.assign(this, { data, send, count: Math.max(this.count, data.heard) });
    this.unheard = this.unheard.filter((event) => event.n > data.heard);
    if (this.unheard.length === 0) {
      this.current = data.current;
      this.chosen = new Set(data.chosen);
      this.said.clear();
    }
    this.draw();
    window.addEventListener("keydown", this.onKey, true);
    window.addEventListener("medloop-thumbnails", this.onThumbnails);
  }

  release() {
    window.removeEventListener("keydown", this.onKey, true);
    window.removeEventListener("medloop-thumbnails", this.onThumbnails);
  }

  tell(kind, ids, key = "") {
    this.unheard = [...this.unheard, { n: ++this.count, kind, ids, key }];
    this.send("events", this.unheard);
    this.draw();
  }

  place(id) { return this.data.items.findIndex((item) => item.id === id); }

  go(id) {
    this.current = id;
    this.chosen.clear();
    this.tell("go", [id]);
  }

  choose(ids) {
    this.chosen = new Set(ids);
    this.tell("choose", [...ids]);
  }

  range(from, to) {
    const [first, last] = [this.place(from), this.place(to)].sort((a, b) => a - b);
    return this.data.items.slice(Math.max(first, 0), last + 1).map((item) => item.id);
  }

  step(places, extend) {
    const { items } = this.data;
    const next = items[(this.place(this.current) + places + items.length) % items.length].id;
    if (!extend) return this.go(next);
    const ids = new Set([...this.chosen, this.current, next]);
    this.current = next;
    this.tell("go", [next]);
    this.choose(ids);
  }

  answer(key) {
    const { items } = this.data;
    const ids = this.chosen.size ? [...this.chosen] : [this.current];
    const ready = items.filter((item) => ids.includes(item.id) && !item.locked);
    ready.forEach((item) => { this.said.add(item.id); this.chosen.delete(item.id); });
    const from = this.place(this.current);
    const next = [...items.slice(from + 1), ...items.slice(0, from + 1)]
      .find((item) => item.open && !this.said.has(item.id));
    if (next && ready.length) this.current = next.id;
    this.tell("answer", ids, key);
  }

  key(event) {
    const at = focused();
    if (event.altKey || event.ctrlKey || event.metaKey || at?.matches?.(FIELDS)) return;
    if (document.querySelector("[role=dialog]") || this.data.items.length === 0) return;
    if (event.key === "Enter" && at?.matches?.(CONTROLS)) return;
    const isAnswer = event.key === "Enter" || (/^\d$/.test(event.key) && +event.key <= this.data.classes);
    if (event.key === "ArrowLeft") this.step(-1, event.shiftKey);
    else if (event.key === "ArrowRight") this.step(1, event.shiftKey);
    else if (event.key === "Escape" && this.chosen.size) this.choose([]);
    else if (!isAnswer || !this.data.may) return;
    else if (!event.repeat) this.answer(event.key);
    event.preventDefault();
    event.stopImmediatePropagation(); // Streamlit's shortcut would press the button as well
  }

  click(event, id) {
    const toggled = new Set(this.chosen);
    if (event.shiftKey) this.choose([...toggled, ...this.range(this.current, id)]);
    else if (event.ctrlKey || event.metaKey || event.target.matches(".pick")) {
      if (!toggled.delete(id)) toggled.add(id);
      this.choose(toggled);
    } else this.go(id);
    if (event.detail) event.currentTarget.blur(); // with the mouse: Enter is for the answer again
  }

  row(item) {
    if (!this.rows.has(item.id)) {
      const row = document.createElement("li");
      row.innerHTML = TILE;
      row.firstChild.onclick = (event) => this.click(event, item.id);
      this.rows.set(item.id, row);
    }
    return this.rows.get(item.id);
  }

  draw() {
    const { items, wall } = this.data;
    const kept = new Set(items.map((item) => item.id));
    for (const [id, row] of this.rows) if (!kept.has(id)) { row.remove(); this.rows.delete(id); }
    this.list.className = wall ? "wall" : "";
    this.list.setAttribute("aria-label", "Pictures");
    items.forEach((item, place) => {
      const row = this.row(item);
      if (this.list.children[place] !== row) this.list.insertBefore(row, this.list.children[place]);
      this.fill(row, item);
    });
  }

  fill(row, item) {
    const button = row.firstChild;
    const [image, , mark, label] = button.children;
    const thumbnail = window.medloopThumbnails?.[item.picture] ?? "";
    if (thumbnail && image.getAttribute("src") !== thumbnail) image.setAttribute("src", thumbnail);
    const said = this.said.has(item.id);
    mark.textContent = said ? "…" : item.mark;
    mark.className = `mark ${said ? "answered" : item.state}`;
    label.textContent = item.label;
    const isCurrent = item.id === this.current;
    const wasCurrent = button.getAttribute("aria-current") === "true";
    const shown = { "aria-label": item.description, title: item.description,
      "aria-current": isCurrent, "aria-pressed": this.chosen.has(item.id) };
    for (const [name, value] of Object.entries(shown)) {
      if (button.getAttribute(name) !== String(value)) button.setAttribute(name, value);
    }
    if (isCurrent && !wasCurrent) row.scrollIntoView({ block: "nearest", inline: "center" });
  }
}

export default function ({ parentElement, data, setStateValue }) {
  const list = parentElement.querySelector("ul") ??
    parentElement.appendChild(document.createElement("ul"));
  const gallery = (list.gallery ??= new Gallery(list));
  gallery.update(data, setStateValue);
  return () => gallery.release();
}
