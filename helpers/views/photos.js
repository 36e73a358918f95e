// The photos of the search panel: rows of whole photos, one of them large over the page, chips,
// and the keys. What is asked for here, `photos.py` answers; nothing comes from anywhere else.

const AT_ONCE = 8; // thumbnails asked for together
const PATIENCE = 8000; // milliseconds without an answer, until the panel says so
const PIECE = 4 << 20; // bytes of an upload in one message: Jupyter drops those above 10 MB
const [SMALL, LARGE] = [256, 512]; // pixels of a thumbnail

// What Python put between U+2068 and U+2069 has an order of its own, whatever stands beside it.
const isolated = (text) => text.split(/[\u2068\u2069]/).map((part, i) => (i % 2 ? make("bdi", {}, part) : part));

function make(name, { data, label, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  Object.assign(element.dataset, data);
  if (label) element.title = label;
  const words = children[0]?.textContent ?? children[0] ?? "";
  if (label && !/\w/.test(words)) element.ariaLabel = label;
  element.append(...children.filter(Boolean).flatMap((child) => (child.split ? isolated(child) : child)));
  return element;
}

const act = (name, text, label, more = {}) =>
  make("button", { type: "button", data: { act: name }, label, ...more }, text);
const marks = () => [
  act("choose", "", "Choose, to save or copy"),
  act("up", "", "More like this in the next search"),
  act("down", "", "Less like this in the next search"),
  act("like", "more like this", "Search for photos like this"),
];

function render({ model, el }) {
  const stop = new AbortController(); // ends what listens outside of `el`
  const inSight = new Set(); // places of thumbnails
  let shown = 0; // the number of the search that is shown
  let photos = []; // what is known of each
  let [current, open] = [0, -1]; // the places that the Tab key reaches, and of the photo that is shown large
  let [asking, waiting] = [false, false]; // for more photos, for thumbnails
  let visits = 0; // to addresses, whose answers are not there yet
  let patience;

  // ---- asking, and not being answered
  const silent = () => el.classList.add("silent");
  const answered = () => (clearTimeout(patience), el.classList.remove("silent"));
  function ask(what, more = {}, buffers = []) {
    clearTimeout(patience);
    patience = setTimeout(silent, PATIENCE);
    try {
      model.send({ ask: what, ...more }, undefined, buffers);
    } catch {
      silent(); // there is no kernel at all
    }
  }
  const about = (what, more = {}) => ask(what, { number: shown, ...more }); // the photos that are shown

  // ---- what there is on the page
  const chips = make("ul", { className: "chips", ariaLabel: "What narrows the search" });
  const size = make("input", { type: "range", min: 80, max: 480, value: 180, label: "Size of the photos" });
  const tall = () => (size.value * devicePixelRatio > SMALL ? LARGE : SMALL);
  const [status, none, path] = [make("span", { className: "status" }), act("none", ""), act("path", "")];
  const bar = make("div", { className: "bar" },
    act("image", "+ image", "Search with an image: choose, drop or paste one"), chips, status, none, size);
  const list = make("ul", { className: "photos", ariaLabel: "Photos found" });
  const more = act("more", "more", "Show more photos", { className: "more" });
  const view = make("div", { className: "view" }, list, more);
  const [large, title, facts] = [make("img", { alt: "" }), make("h2"), make("dl")];
  const previous = act("previous", "‹", "Previous photo (left arrow)");
  const next = act("next", "›", "Next photo (right arrow)");
  const dialog = make("dialog", { className: "large", ariaLabel: "One photo" }, previous, large, next,
    make("aside", {}, title, make("p", {}, ...marks(), path, act("close", "close", "Close (Esc)")), facts));
  const said = make("div", { className: "announced", role: "status" });
  el.append(make("p", { className: "gone" }, model.get("gone")), bar, view, dialog, said);
  el.classList.add("search-photos");
  el.classList.toggle("visitors", model.get("visitors"));

  function tile(photo, place) {
    const more = { className: "photo", title: photo.facts.path ?? "", tabIndex: -1 };
    const item = make("li", { data: { place } }, act("open", make("img", { alt: photo.alt }), "", more),
      make("p", {}, make("span", {}, photo.name), photo.date && make("time", {}, photo.date),
        make("small", {}, photo.numbers)));
    item.style.setProperty("--ratio", photo.ratio);
    return item;
  }

  function mark(place) { // give a photo its buttons, when they are needed: a thousand have thousands
    const item = list.children[place];
    if (item.lastChild.className !== "marks") item.append(make("div", { className: "marks" }, ...marks()));
    item.querySelectorAll("button").forEach((each) => (each.tabIndex = place === current ? 0 : -1));
    const [sign, chosen] = [model.get("judged")[place], model.get("chosen").includes(place)];
    const pressed = { up: sign > 0, down: sign < 0, choose: chosen };
    for (const each of place === open ? [item, dialog] : [item])
      for (const name in pressed) each.querySelector(`[data-act=${name}]`).ariaPressed = pressed[name];
  }

  function markAll() {
    const chosen = model.get("chosen");
    [none.hidden, none.textContent] = [!chosen.length, `${chosen.length} chosen ×`];
    const before = [...list.querySelectorAll("[aria-pressed=true]")].map((each) => each.closest("li").dataset.place);
    for (const place of [...before, ...chosen, ...Object.keys(model.get("judged"))]) if (photos[place]) mark(+place);
  }

  // ---- photos and their thumbnails
  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (target !== more) inSight[isIntersecting ? "add" : "delete"](+target.dataset.place);
      else if (isIntersecting) askMore();
    }
    askThumbs();
  }, { root: view, rootMargin: "400px 0px" });

  function askThumbs() {
    const lacking = [...inSight].filter((place) => photos[place].height !== tall());
    if (waiting || !lacking.length) return;
    const places = lacking.sort((a, b) => a - b).slice(0, AT_ONCE);
    for (const place of places) photos[place].height = tall(); // it is asked for once
    waiting = true;
    about("thumbs", { places, height: tall() });
  }

  function askMore() {
    if (asking || more.hidden) return;
    asking = true;
    about("more", { first: photos.length });
  }

  function add(found, further) {
    const first = photos.length;
    photos.push(...found.map((photo) => ({ ...photo }))); // another view has its own
    list.append(...found.map((photo, place) => tile(photo, first + place)));
    for (let place = first; place < photos.length; place++) seen.observe(list.children[place]);
    markAll();
    more.hidden = !further;
    seen.unobserve(more);
    seen.observe(more); // it may be in sight still
  }

  function restart() {
    const focused = list.contains(document.activeElement);
    seen.disconnect();
    [shown, photos, current, open, asking, waiting] = [model.get("number"), [], 0, -1, false, false];
    inSight.clear();
    dialog.close();
    list.replaceChildren();
    view.scrollTop = 0;
    add(model.get("photos"), model.get("more"));
    drawFirst();
    if (photos.length) focused ? focus(0) : mark(0); // the Tab key reaches it
  }

  function draw(place, address) {
    const button = list.children[place].firstChild;
    button.classList.toggle("unreadable", !address);
    if (address) button.firstChild.src = address;
  }

  function drawFirst() { // they come unasked
    if (model.get("number") !== shown) return;
    model.get("first").forEach((address, place) => {
      photos[place].height = model.get("height");
      if (address !== null && !list.children[place].querySelector("[src], .unreadable")) draw(place, address);
    });
  }

  function hear(message) {
    answered();
    if (message.done === "more") asking = false; // it may have failed
    if (message.done === "visit") visits--;
    if (message.done === "thumbs") (waiting = false), askThumbs();
    // Once, however many views there are:
    if (message.csv) save(message.csv, message.text), delete message.csv;
    if (message.copy) copy(message.copy), delete message.copy;
    if (message.number !== shown) return; // about photos that are gone, or none
    for (const place in message.thumbs) if (photos[place]) draw(place, message.thumbs[place]);
    if (message.first === photos.length) (asking = false), add(message.add, message.more); // no other view's
    if (photos[message.photo]) photos[message.photo].large = message.address;
    if (open >= 0 && !message.thumbs) enlarge(open); // it is this one, or the next may be asked for
  }

  // ---- one photo, large
  function enlarge(place) {
    const photo = photos[place];
    if (!photo) return;
    if (place > photos.length - 3) askMore();
    open = place;
    mark(place);
    const address = photo.large || list.children[place].querySelector("img").src;
    if (large.getAttribute("src") !== address) large.src = address;
    dialog.classList.toggle("unreadable", photo.large === "" && !address);
    [large.alt, path.textContent] = [photo.alt, "copy path"];
    title.replaceChildren(...isolated(photo.name));
    const rows = Object.entries(photo.facts).flatMap(([name, fact]) => [make("dt", {}, name), make("dd", {}, fact)]);
    facts.replaceChildren(...rows);
    [previous.ariaDisabled, next.ariaDisabled] = [!place, place === photos.length - 1]; // `disabled` loses the focus
    path.hidden = !photo.path;
    for (const each of [place, place + 1, place - 1]) {
      if (photos[each] && !photos[each].asked) about("photo", { place: each });
      if (photos[each]) photos[each].asked = true;
    }
    if (!dialog.open) dialog.showModal();
  }

  dialog.onclose = () => (focus(open), (open = -1));

  // ---- what a click or a key does
  function focus(place) {
    const [item, before] = [list.children[place], current];
    if (!item) return;
    current = place;
    [before, place].forEach(mark);
    item.firstChild.focus({ preventScroll: true });
    item.scrollIntoView({ block: "nearest" });
  }

  function beside(step) { // the place above or below
    const here = list.children[current];
    const down = (item) => step * (item.offsetTop - here.offsetTop);
    const along = (item) => Math.abs(item.offsetLeft - here.offsetLeft);
    const rest = [...list.children].filter((item) => down(item) > 0);
    return +(rest.sort((a, b) => down(a) - down(b) || along(a) - along(b))[0] ?? here).dataset.place;
  }

  function save(name, text) {
    const href = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv" }));
    make("a", { href, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(href), 60000); // when it is written
  }

  async function copy(text) {
    const done = await navigator.clipboard?.writeText(text).then(() => true, () => false);
    if (done) path.textContent = said.textContent = "copied";
    else prompt("Copy this:", text); // the browser does not allow it, as over http
  }

  const actions = {
    open: enlarge, more: askMore,
    choose: (place) => about("choose", { places: [place] }), none: () => about("choose", { places: model.get("chosen") }),
    up: (place) => about("judge", { place, sign: 1 }), down: (place) => about("judge", { place, sign: -1 }),
    like: (place) => (dialog.close(), about("like", { place })), drop: (_, id) => ask("drop", { id }),
    image: () => make("input", { type: "file", accept: "image/*", onchange: pick }).click(),
    previous: () => enlarge(open - 1), next: () => enlarge(open + 1), close: () => dialog.close(),
    path: (place) => copy(photos[place].path),
  };
  el.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-act]");
    const place = open >= 0 ? open : +button?.closest("[data-place]")?.dataset.place;
    if (button) actions[button.dataset.act](place, button.closest("[data-chip]")?.dataset.chip);
  });
  list.onpointerover = ({ target }) => target.closest("li") && mark(+target.closest("li").dataset.place);
  el.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
    current = +(event.target.closest("[data-place]")?.dataset.place ?? current);
    const turn = { ArrowRight: () => open + 1, ArrowLeft: () => open - 1 };
    const walk = { ArrowRight: () => current + 1, ArrowLeft: () => current - 1, Home: () => 0,
      ArrowDown: () => beside(1), ArrowUp: () => beside(-1), End: () => photos.length - 1 };
    if (open >= 0 && turn[event.key]) enlarge(turn[event.key]());
    else if (open < 0 && list.contains(event.target) && walk[event.key]) focus(walk[event.key]());
    else return;
    event.preventDefault();
  });
  size.oninput = () => el.style.setProperty("--height", `${size.value}px`);
  size.onchange = askThumbs; // larger ones

  // ---- an image to search with
  const pick = ({ target }) => take(target.files);
  const take = ([image]) => // which may be a folder
    image && upload(image).catch((error) => ask("say", { text: error.message, failed: true }));
  async function upload(image) {
    const bytes = new Uint8Array(await image.arrayBuffer());
    for (let start = 0; start === 0 || start < bytes.length; start += PIECE) {
      const where = { first: start === 0, last: start + PIECE >= bytes.length };
      ask("upload", { name: image.name, ...where }, [bytes.slice(start, start + PIECE).buffer]);
    }
  }

  // ---- the box around it all, which is there a little later
  function settle() {
    const box = el.closest(".search-panel");
    if (!el.isConnected || !box) return stop.signal.aborted || requestAnimationFrame(settle);
    [box.role, box.ariaLabel] = ["search", "Photo search"];
    const on = (name, does) => box.addEventListener(name, does, { signal: stop.signal });
    on("dragover", (event) => event.preventDefault());
    for (const name of ["drop", "paste"]) on(name, (event) => {
      const { files, types } = event.dataTransfer ?? event.clipboardData;
      if (event.target.matches("input") && types.includes("text/plain")) return; // it is text
      if (name === "drop" || files.length) event.preventDefault();
      take(files);
    });
    // Else `d d` deletes the cell of a clicked button: Lumino looks at the focused element itself first.
    on("focusin", ({ target }) => (target.dataset.lmSuppressShortcuts = "true"));
    // What ipywidgets sends, no message answers: is anybody there?
    on("click", ({ target }) => target.closest(".jupyter-button") && ask("ping"));
    on("change", ({ target }) => {
      if (!el.contains(target)) ask("ping");
      const wrong = [target.value, target.validationMessage].filter(Boolean).join(": ");
      if (target.validity?.valid === false) ask("say", { text: wrong });
    });
    // With other thumbs, the same words are a new question.
    on("keyup", ({ key, target }) => key === "Enter" && target === box.querySelector("input") && ask("enter"));
    for (const each of box.querySelectorAll("input, .jupyter-button")) {
      each.dir = "auto"; // by what is typed
      each.ariaLabel ||= each.placeholder || (!each.textContent && each.title) || null; // ipywidgets gives no names
    }
  }

  // ---- what Python changes
  const does = (text, off) => (off ? `Read ${text} again` : off === false ? `${text}: as plain words` : `Without ${text}`);
  const chip = ({ id, text, off, picture, weight }) => make("li", { className: off ? "off" : "", data: { chip: id } },
    picture && make("img", { src: picture, alt: "" }), make("span", { title: text }, text),
    weight && make("input", {
      type: "number", min: 0.1, max: 10, step: 0.1, value: weight, required: true, label: `Weight of ${text}`,
      onchange: ({ target }) => target.validity.valid && ask("weigh", { id, weight: +target.value }),
    }), act("drop", off ? "+" : "×", does(text, off)));
  const follow = {
    status: () => status.replaceChildren(...isolated(model.get("status"))),
    said: () => said.replaceChildren(...isolated(model.get("said"))),
    busy: () => el.classList.toggle("busy", model.get("busy")),
    chips: () => {
      const at = [...chips.querySelectorAll("input, button")].indexOf(document.activeElement);
      chips.replaceChildren(...model.get("chips").map(chip));
      chips.querySelectorAll("input, button")[at]?.focus();
    },
    number: restart, chosen: markAll, judged: markAll,
  };
  for (const [name, does] of Object.entries(follow)) model.on(`change:${name}`, does), does();
  model.on("change:first", drawFirst);
  model.on("change", answered);
  model.on("msg:custom", hear);
  settle();
  if (model.get("visitors")) { // the page's address is the question
    const here = () => `${location.pathname}${model.get("address") && "?"}${model.get("address")}`;
    history.replaceState(null, "", here());
    model.on("change:address", () => {
      if (!visits && here() !== location.pathname + location.search) history.pushState(null, "", here());
    });
    const visit = () => (visits++, ask("visit", { address: location.search.slice(1) }));
    addEventListener("popstate", visit, { signal: stop.signal });
  }
  return () => (stop.abort(), clearTimeout(patience));
}

export default { render };
