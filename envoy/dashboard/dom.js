// Creates elements and updates them. Text becomes text nodes, never markup.
//
// While a user has selected something, its text is not replaced, and lists that contain it keep their order.

const SVG = "http://www.w3.org/2000/svg";

export function html(name, attributes = {}, ...children) {
  return make(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return make(document.createElementNS(SVG, name), attributes, children);
}

function make(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Replaces an element's text if it differs.
export function setText(element, text) {
  if (element.textContent !== text && !isSelected(element)) element.textContent = text;
}

export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

// Synchronizes an element's children with a list of items that have a `key`. `make` returns {element, update} for a
// new item; `update` receives the item each time. `all` are the items that could be in the list: while a selection
// keeps the list as it is, its children are updated from these.
export function keyedList(parent, make) {
  const children = new Map();
  return function update(items, all = items) {
    if (isSelected(parent) || isPressed(parent)) {
      for (const item of all) children.get(item.key)?.update(item);
      return;
    }
    const keys = new Set(items.map(({ key }) => key));
    for (const key of children.keys()) if (!keys.has(key)) children.delete(key);
    for (const item of items) {
      if (!children.has(item.key)) children.set(item.key, make(item));
      children.get(item.key).update(item);
    }
    const wanted = items.map(({ key }) => children.get(key).element);
    const isSame = parent.children.length === wanted.length && wanted.every((element, index) => parent.children[index] === element);
    if (!isSame) parent.replaceChildren(...wanted);
  };
}

// A word with a shape and a colour: the level of a tile, a panel or a notice.
export function pill(className = "") {
  const element = html("span", { class: `pill ${className}`.trim() });
  return {
    element,
    update(level, text = level) {
      setAttribute(element, "data-level", level);
      element.hidden = text === "";
      setText(element, text);
    },
  };
}

// Asking the selection itself each time would make the browser lay out the page each time.
let hasSelection = false;
document.addEventListener("selectionchange", () => { hasSelection = !getSelection().isCollapsed; });

function isSelected(element) {
  return hasSelection && getSelection().containsNode(element, true);
}

// While a pointer is down, a selection may be about to start: nothing moves below it.
let pressed = null;
document.addEventListener("pointerdown", ({ target }) => { pressed = target; });
for (const type of ["pointerup", "pointercancel"]) document.addEventListener(type, () => { pressed = null; });

function isPressed(element) {
  return pressed !== null && element.contains(pressed);
}
