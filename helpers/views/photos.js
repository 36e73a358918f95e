// The photos of the search panel: rows of whole photos, one of them large over the page, chips,
// and the keys. What is asked for here, `photos.py` answers; nothing comes from anywhere else.

const AT_ONCE = 8; // thumbnails asked for together
const FIRST = 24; // thumbnails that come by themselves, and that a saved notebook keeps
const PATIENCE = 8000; // milliseconds without an answer, until the panel says so
const SOON = 150; // milliseconds that photos wait for their thumbnails
const PIECE = 4 << 20; // bytes of an upload in one message: Jupyter drops those above 10 MB
const THUMB = "M1 7h3v7H1zM5 7l3-6q3 0 1.6 5H14q1.6 0 1.3 1.6L13.8 13q-.3 1-1.3 1H5z";
const [SMALL, LARGE] = [256, 512]; // pixels of a thumbnail

function make(name, { data = {}, label, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  Object.assign(element.dataset, data);
  if (label) element.title = label;
  const words = children[0]?.textContent ?? children[0] ?? "";
  if (label && !/\w/.test(words)) element.ariaLabel = label; // it has no words of its own
  element.append(...children.filter(Boolean));
  return element;
}

const thumb = () => make("span", { className: "thumb", innerHTML: `<svg viewBox="0 0 16 16"><path d="${THUMB}"/></svg>` });
const act = (name, text, label, more = {}) =>
  make("button", { type: "button", data: { act: name }, label, ...more }, text);
const marks = () => [
  act("choose", "☐", "Choose, to save or copy"),
  act("up", thumb(), "More like this in the next search"),
  act("down", thumb(), "Less like this in the next search"),
  act("like", "more like this", "Search for photos like this"),
];

function save(name, text) {
  const href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  make("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 1000);
}

const copy = (text) => // a page over http has no clipboard
  navigator.clipboard ? navigator.clipboard.writeText(text) : prompt("Copy this:", text);

function render({ model, el }) {
  const stop = new AbortController(); // ends what listens outside of `el`
  let patience;
  const answered = () => (clearTimeout(patience), el.classList.remove("silent"));
  const silent = () => el.classList.add("silent");
  const wait = () => (clearTimeout(patience), (patience = setTimeout(silent, PATIENCE)));
  function ask(what, more = {}, buffers = []) {
    wait();
    try {
      model.send({ ask: what, number: shown, ...more }, undefined, buffers);
    } catch {
      silent(); // there is no kernel at all
    }
  }

  let shown = 0; // the number of the search that is shown
  let soon = 0; // a timer, until the next one is
  let photos = []; // what is known of each
  let wanted = []; // places of thumbnails in sight that are not there yet
  let awaited = new Set(); // those asked for
  let urls = []; // of blobs, to be given back
  let asking = false; // for more photos
  let current = 0; // the place that the Tab key reaches
  let open = -1; // the place of the photo that is shown large
  const chosen = new Set();

  // ---- what there is on the page
  const chips = make("ul", { className: "chips" });
  chips.ariaLabel = "What narrows the search";
  const file = make("input", { type: "file", accept: "image/*", hidden: true });
  const size = make("input", { type: "range", min: 80, max: 480, value: 180, label: "Size of the photos" });
  const tall = () => (size.value * devicePixelRatio > SMALL ? LARGE : SMALL);
  const numbers = make("input", { type: "checkbox" });
  const status = make("span", { className: "status" });
  const none = act("none", "");
  const paths = act("paths", "copy paths", "Copy where the photos are");
  const judged = act("judged", "save thumbs", "As a CSV file, which notebook 5 reads");
  const menu = make("div", {}, act("csv", "save as CSV", "Facts of the photos as a file"), paths, judged,
    make("label", {}, numbers, "show numbers"));
  const bar = make("div", { className: "bar" },
    act("back", "‹", "The question before"), act("forward", "›", "The next question"),
    act("image", "+ image", "Search with an image: choose, drop or paste one"), file, chips, status, none,
    size, make("details", {}, make("summary", { label: "Save, copy, numbers" }, "⋯"), menu));
  const list = make("ul", { className: "photos" });
  list.ariaLabel = "Photos found";
  const more = act("more", "more", "Show more photos", { className: "more" });
  const view = make("div", { className: "view" }, list, more);
  const [large, title, facts] = [make("img", { alt: "" }), make("h2"), make("dl")];
  const previous = act("previous", "‹", "Previous photo (left arrow)");
  const next = act("next", "›", "Next photo (right arrow)");
  const path = act("path", "copy path", "Copy where this photo is");
  const dialog = make("dialog", { className: "large" }, previous, large, next,
    make("aside", {}, title, facts, make("p", {}, ...marks(), path, act("close", "close", "Close (Esc)"))));
  dialog.ariaLabel = "One photo";
  const said = make("div", { className: "announced" });
  said.setAttribute("role", "status");
  const gone = make("p", { className: "gone" },
    model.get("visitors") ? "The server does not answer. Reload the page to go on."
      : "The kernel does not answer: it is busy, or gone. If it is gone, run the cells from the top to search again.");
  el.append(gone, bar, view, dialog, said);
  el.classList.add("search-photos");
  el.classList.toggle("visitors", model.get("visitors"));

  function tile(photo, place) {
    const button = act("open", make("img", { alt: photo.alt }), "", { className: "photo", title: photo.path, tabIndex: -1 });
    const item = make("li", { data: { place } }, button,
      make("p", {}, make("span", {}, photo.name), photo.date && make("time", {}, photo.date), make("small", {}, photo.numbers)));
    item.style.setProperty("--ratio", photo.ratio);
    return item;
  }

  function tools(item) { // the buttons on a photo, when they are needed: a thousand have thousands
    if (item.lastChild.className !== "marks") item.append(make("div", { className: "marks" }, ...marks()));
    item.querySelectorAll("button").forEach((each) => (each.tabIndex = item === list.children[current] ? 0 : -1));
  }

  function press(place) { // show what was judged and chosen
    tools(list.children[place]);
    const { judged: sign } = photos[place];
    const pressed = { up: sign > 0, down: sign < 0, choose: chosen.has(place) };
    for (const [name, is] of Object.entries(pressed)) {
      list.children[place].querySelector(`[data-act=${name}]`).ariaPressed = is;
      if (place === open) dialog.querySelector(`[data-act=${name}]`).ariaPressed = is;
    }
    none.hidden = !chosen.size;
    none.textContent = `${chosen.size} chosen ×`;
    judged.hidden = !photos.some((each) => each.judged);
  }

  // ---- photos and their thumbnails
  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (target === more) isIntersecting && askMore();
      else {
        const place = +target.dataset.place;
        wanted = wanted.filter((other) => other !== place);
        if (isIntersecting && photos[place].height !== tall()) wanted.push(place);
      }
    }
    askThumbs();
  }, { root: view, rootMargin: "400px 0px" });

  function askThumbs() {
    if (awaited.size || !wanted.length) return;
    const places = wanted.sort((a, b) => a - b).splice(0, AT_ONCE);
    awaited = new Set(places);
    ask("thumbs", { places, height: tall() });
  }

  function askMore() {
    if (!asking && model.get("more")) ask("more");
    asking = true;
  }

  function add(found) {
    const first = photos.length;
    photos.push(...found);
    list.append(...found.map((photo, place) => tile(photo, first + place)));
    for (let place = first; place < photos.length; place++) {
      if (photos[place].judged) press(place);
      seen.observe(list.children[place]);
    }
    more.hidden = !model.get("more");
    seen.unobserve(more);
    seen.observe(more); // it may be in sight still
    asking = false;
  }

  function restart(unasked) {
    clearTimeout(soon);
    [shown, soon] = [model.get("number"), 0];
    urls.forEach((url) => URL.revokeObjectURL(url));
    seen.disconnect();
    [photos, wanted, urls, current] = [[], [], [], 0];
    awaited = new Set(model.get("photos").slice(0, unasked).keys());
    chosen.clear();
    dialog.close();
    list.replaceChildren();
    view.scrollTop = 0;
    add(model.get("photos"));
    if (unasked) model.set("kept", {});
    for (const [place, address] of Object.entries(model.get("kept"))) draw(place, address);
    if (photos.length) press(0);
  }

  function draw(place, address) {
    const button = list.children[place]?.firstChild;
    if (!button) return;
    if (address) button.firstChild.src = address;
    button.classList.toggle("unreadable", !address);
  }

  function hear(message, buffers) {
    answered();
    if ("csv" in message) save(message.csv, message.text);
    if (soon && message.number === model.get("number")) restart(FIRST);
    if (message.number !== shown) return; // about photos that are gone, or none
    if ("add" in message) {
      add(message.add);
      if (open >= 0) enlarge(open);
      return;
    }
    const jpegs = buffers.map((buffer) => buffer.byteLength && new Blob([buffer], { type: "image/jpeg" }));
    const addresses = jpegs.map((jpeg) => (jpeg ? URL.createObjectURL(jpeg) : ""));
    urls.push(...addresses);
    if ("photo" in message) {
      photos[message.photo].large = addresses[0];
      if (open >= 0) enlarge(open); // it is this one, or the next may be asked for
    } else if ("thumbs" in message) {
      message.thumbs.forEach((place, index) => {
        draw(place, addresses[index]);
        photos[place].height = message.height;
        awaited.delete(place);
        if (jpegs[index] && place < FIRST) keep(place, jpegs[index], message.number);
      });
      wanted = wanted.filter((place) => !message.thumbs.includes(place));
      askThumbs();
    }
  }

  function keep(place, jpeg, number) { // in the notebook's file; this is never sent
    const reader = new FileReader();
    reader.onload = () => {
      if (number === shown) model.set("kept", { ...model.get("kept"), [place]: reader.result });
    };
    reader.readAsDataURL(jpeg);
  }

  // ---- one photo, large
  function enlarge(place) {
    const photo = photos[place];
    if (!photo) return;
    if (place > photos.length - 3) askMore();
    open = place;
    press(place);
    const address = photo.large || list.children[place].querySelector("img").src;
    if (large.src !== address) large.src = address;
    large.alt = photo.alt;
    title.textContent = photo.name;
    const rows = Object.entries({ ...photo.facts, ...(photo.path && { path: photo.path }) });
    facts.replaceChildren(...rows.flatMap(([name, fact]) => [make("dt", {}, name), make("dd", {}, fact)]));
    [previous.disabled, next.disabled, path.hidden] = [place === 0, place === photos.length - 1, !photo.path];
    const lacking = [place, place + 1, place - 1].find((each) => photos[each] && !photos[each].asked);
    if (lacking !== undefined) {
      photos[lacking].asked = true;
      ask("photo", { place: lacking });
    }
    if (!dialog.open) dialog.showModal();
  }

  dialog.onclose = () => {
    if (open >= 0) focus(open);
    open = -1;
  };

  // ---- what a click or a key does
  function focus(place) {
    const item = list.children[place];
    if (!item) return;
    const before = list.children[current];
    current = place;
    tools(before);
    tools(item);
    item.firstChild.focus({ preventScroll: true });
    item.scrollIntoView({ block: "nearest" });
  }

  function beside(step) { // the place above or below
    const here = list.children[current].getBoundingClientRect();
    let [best, least] = [current, Infinity];
    for (let place = current + step; list.children[place] && Math.abs(place - current) < 99; place += step) {
      const there = list.children[place].getBoundingClientRect();
      const [down, along] = [Math.abs(there.top - here.top), Math.abs(there.left - here.left)];
      if (down > 1 && 99 * down + along < least) [best, least] = [place, 99 * down + along];
    }
    return best;
  }

  function judge(place, sign) {
    photos[place].judged = photos[place].judged === sign ? 0 : sign;
    press(place);
    ask("judge", { place, sign: photos[place].judged });
  }

  function toggle(place) {
    if (!chosen.delete(place)) chosen.add(place);
    press(place);
    ask("choose", { places: [...chosen] });
  }

  const taken = () => [...(chosen.size ? chosen : photos.keys())].sort((a, b) => a - b);
  const actions = {
    open: enlarge, choose: toggle, more: askMore,
    like: (place) => (dialog.close(), ask("like", { place })),
    up: (place) => judge(place, 1), down: (place) => judge(place, -1),
    previous: () => enlarge(open - 1), next: () => enlarge(open + 1), close: () => dialog.close(),
    path: (place) => copy(photos[place].path),
    paths: () => copy(taken().map((place) => photos[place].path).join("\n")),
    csv: () => ask("csv", { places: taken() }), judged: () => ask("judged"),
    none: () => [...chosen].forEach(toggle), image: () => file.click(),
    back: () => ask("step", { by: -1 }), forward: () => ask("step", { by: 1 }),
    drop: (_, chip) => ask("drop", { id: chip }),
  };
  el.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-act]");
    const place = open >= 0 ? open : +button?.closest("[data-place]")?.dataset.place;
    if (button) actions[button.dataset.act](place, button.closest("[data-chip]")?.dataset.chip);
  });
  list.addEventListener("pointerover", ({ target }) => target.closest("li") && tools(target.closest("li")));
  el.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
    current = +(event.target.closest("[data-place]")?.dataset.place ?? current);
    const among = { ArrowRight: () => current + 1, ArrowLeft: () => current - 1, Home: () => 0,
      ArrowDown: () => beside(1), ArrowUp: () => beside(-1), End: () => photos.length - 1 };
    if (open >= 0 && event.key === "ArrowRight") enlarge(open + 1);
    else if (open >= 0 && event.key === "ArrowLeft") enlarge(open - 1);
    else if (open < 0 && list.contains(event.target) && among[event.key]) focus(among[event.key]());
    else return;
    event.preventDefault();
  });
  size.oninput = () => el.style.setProperty("--height", `${size.value}px`);
  size.onchange = () => {
    for (const item of list.children) seen.unobserve(item), seen.observe(item); // asks for larger ones
  };
  numbers.onchange = () => list.classList.toggle("numbers", numbers.checked);

  // ---- an image to search with
  async function upload(image) {
    const bytes = new Uint8Array(await image.arrayBuffer());
    for (let start = 0; start === 0 || start < bytes.length; start += PIECE) {
      const where = { first: start === 0, last: start + PIECE >= bytes.length };
      ask("upload", { name: image.name, ...where }, [bytes.slice(start, start + PIECE).buffer]);
    }
  }
  file.onchange = () => (upload(file.files[0]), (file.value = ""));

  // ---- the box around it all, which is there a little later
  function settle() {
    const box = el.closest(".search-panel");
    if (stop.signal.aborted) return;
    if (!el.isConnected || !box) return requestAnimationFrame(settle);
    box.setAttribute("role", "search");
    box.ariaLabel = "Photo search";
    const on = (name, does) => box.addEventListener(name, does, { signal: stop.signal });
    const take = (event, data) => {
      if (event.type !== "paste" || data.files.length) event.preventDefault();
      if (data.files.length) upload(data.files[0]);
    };
    on("dragover", (event) => event.preventDefault());
    on("drop", (event) => take(event, event.dataTransfer));
    on("paste", (event) => take(event, event.clipboardData));
    on("focusin", ({ target }) => { // Lumino looks at the focused element itself, before its parents
      target.dataset.lmSuppressShortcuts = "true"; // else `d d` deletes the cell of a clicked button
    });
    on("change", ({ target }) => {
      if (!el.contains(target)) wait(); // ipywidgets sends it
      if (target.validity?.valid === false) ask("say", { text: `${target.value}: ${target.validationMessage}` });
    });
    box.querySelectorAll("input").forEach((input) => (input.ariaLabel ||= input.placeholder || null));
  }

  // ---- what Python changes
  const chip = ({ id, text, picture, weight }) => make("li", { data: { chip: id } },
    picture && make("img", { src: picture, alt: "" }), make("span", {}, text),
    weight && make("input", {
      type: "number", min: 0.1, max: 10, step: 0.1, value: weight, label: `Weight of ${text}`,
      onchange: ({ target }) => target.validity.valid && ask("weigh", { id, weight: +target.value }),
    }), act("drop", "×", `Without ${text}`));
  const follow = {
    more: () => (more.hidden = !model.get("more")),
    status: () => (status.textContent = model.get("status")),
    said: () => (said.textContent = model.get("said")),
    busy: () => el.classList.toggle("busy", model.get("busy")),
    back: () => (bar.querySelector("[data-act=back]").disabled = !model.get("back")),
    forward: () => (bar.querySelector("[data-act=forward]").disabled = !model.get("forward")),
    chips: () => chips.replaceChildren(...model.get("chips").map(chip)),
  };
  for (const [name, does] of Object.entries(follow)) model.on(`change:${name}`, does), does();
  model.on("change:number", () => { // with the first thumbnails, so that no empty frames are drawn
    clearTimeout(soon);
    soon = setTimeout(restart, SOON, FIRST);
  });
  model.on("change", answered);
  model.on("msg:custom", hear);
  size.oninput();
  restart(0);
  settle();
  if (model.get("visitors")) { // the page's address is the question
    model.on("change:address", () => {
      const search = `?${model.get("address")}`;
      if (search !== location.search) history.pushState(null, "", search);
    });
    const visit = () => ask("visit", { address: location.search.slice(1) });
    addEventListener("popstate", visit, { signal: stop.signal });
    paths.hidden = true;
  }
  return () => {
    stop.abort();
    clearTimeout(patience);
    seen.disconnect();
    urls.forEach((url) => URL.revokeObjectURL(url));
  };
}

export default { render };
