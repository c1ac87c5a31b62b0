// The large picture under the mouse: the wheel with Shift or Ctrl zooms where it points, a drag
// moves what is zoomed, a drag with Shift changes brightness and contrast of the view alone, and a
// double click resets it. So does the next picture.
const PICTURE = ".st-key-shown img, .st-key-tiny img";
const PER_PIXEL = 1 / 200;
const START = { zoom: 1, x: 0, y: 0, light: 1, contrast: 1 };
const views = new WeakMap();
let dragged = null;

function change(image, to) {
  const view = { ...START, ...views.get(image), ...to };
  views.set(image, view);
  image.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`;
  image.style.filter = `brightness(${view.light}) contrast(${view.contrast})`;
}

const heard = {
  wheel(event, image) {
    if (!event.shiftKey && !event.ctrlKey) return;
    event.preventDefault();
    const { zoom, x, y } = views.get(image) ?? START;
    const next = Math.min(Math.max(zoom * Math.exp(-(event.deltaY || event.deltaX) * PER_PIXEL), 1), 12);
    const box = image.getBoundingClientRect();
    const from = [event.clientX - box.x - box.width / 2, event.clientY - box.y - box.height / 2];
    const grown = 1 - next / zoom;
    change(image, next === 1 ? { zoom: 1, x: 0, y: 0 }
      : { zoom: next, x: x + from[0] * grown, y: y + from[1] * grown });
  },
  dragstart(event) { event.preventDefault(); },
  pointerdown(event, image) { if (event.pointerType === "mouse") dragged = image; },
  dblclick(event, image) { change(image, START); },
  load(event, image) { change(image, START); },
};

function move(event) {
  if (!dragged || !event.buttons) return void (dragged = null);
  const { zoom, x, y, light, contrast } = views.get(dragged) ?? START;
  if (event.shiftKey) {
    change(dragged, { contrast: Math.max(contrast + event.movementX * PER_PIXEL, 0.1),
      light: Math.max(light - event.movementY * PER_PIXEL, 0.1) });
  } else if (zoom > 1) change(dragged, { x: x + event.movementX, y: y + event.movementY });
}

export default function () {
  const options = { capture: true, passive: false }; // a load does not bubble
  const hear = (event) => event.target.matches?.(PICTURE) && heard[event.type](event, event.target);
  Object.keys(heard).forEach((name) => document.addEventListener(name, hear, options));
  document.addEventListener("pointermove", move);
  return () => {
    Object.keys(heard).forEach((name) => document.removeEventListener(name, hear, options));
    document.removeEventListener("pointermove", move);
  };
}
