// The demo storefront's script: shelves, cart, likes. All that is recommended or reported goes through
// RecoPortal (static/sdk.js), as in a shop of one's own.

const api = globalThis.RecoPortal;
const texts = JSON.parse(document.getElementById("texts").textContent);
const body = document.body;
const language = document.documentElement.lang;
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const one = (selector, within = document) => within.querySelector(selector);
const fill = (text, value) => text.replace("%s", () => value);
const say = (text) => { one("[data-says]").textContent = text; };
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
// What these shelves promise would not be true of a slate filled with what everybody likes.
const OWN = { viewed: ["items", "session"], again: ["shopper", "again"], promotion: ["promotion"] };
// After a click the server knows within a second; most often at once.
const LOOKS = [120, 300, 600, 1500];

function made(tag, className, ...inside) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    element.append(...inside);
    return element;
}

function money(amount, currency) {
    if (amount == null || amount === "") return "";
    try {
        return new Intl.NumberFormat(language, { style: "currency", currency }).format(amount);
    } catch {
        return `${amount} ${currency}`;
    }
}

function stored(name, otherwise) {
    try {
        return JSON.parse(localStorage.getItem(`storefront.${name}`)) ?? otherwise;
    } catch {
        return otherwise;
    }
}

function keep(name, value) {
    try {
        localStorage.setItem(`storefront.${name}`, JSON.stringify(value));
    } catch {
        // a browser that keeps nothing shows the shop all the same
    }
}

// --- product cards ------------------------------------------------------------------------------------------

const heart = () => {
    const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    drawing.setAttribute("viewBox", "0 0 24 24");
    drawing.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", "M12 20s-7-4.6-7-10a4 4 0 0 1 7-2.6A4 4 0 0 1 19 10c0 5.4-7 10-7 10z");
    drawing.append(path);
    return drawing;
};

function card(item, before, slate) {
    const link = made("a", "sf-card-link");
    link.href = body.dataset.productUrl.replace("__sku__", encodeURIComponent(item.sku));
    const picture = made("span", "sf-picture");
    if (item.image) {
        const image = made("img");
        Object.assign(image, { src: item.image, alt: "", loading: "lazy", width: 240, height: 240 });
        picture.append(image);
    }
    link.append(picture, made("span", "sf-name", item.title));
    if (item.brand && !item.title.startsWith(item.brand)) link.append(made("span", "sf-brand", item.brand));
    link.append(made("span", "sf-price", money(item.price, item.currency)));
    const why = item.reason?.text ?? item.reason;
    if (typeof why === "string" && why) link.append(made("span", "sf-reason", why));
    const like = made("button", "sf-like", heart());
    like.type = "button";
    like.dataset.recoIgnore = "";
    like.setAttribute("aria-pressed", String(stored("likes", []).includes(item.sku)));
    like.setAttribute("aria-label", fill(texts.like, item.title));
    like.addEventListener("click", () => liked(like, item.sku, slate.request_id));
    const fresh = before.size > 0 && !before.has(item.sku);
    const place = made("li", fresh ? "sf-card is-new" : "sf-card", link, like);
    place.dataset.sku = item.sku;
    return place;
}

function liked(button, sku, requestId) {
    const likes = stored("likes", []);
    const now = !likes.includes(sku);
    keep("likes", now ? [...likes, sku].slice(-100) : likes.filter((other) => other !== sku));
    button.setAttribute("aria-pressed", String(now));
    if (!now) return;
    api.event("like", { sku, request_id: requestId });
    follow();
}

// Whether a shelf is what its heading says.
function isTrue(kind, slate) {
    if (kind === "sponsored") return slate.items.some((item) => item.sponsored);
    return OWN[kind] === undefined || OWN[kind].includes(slate.rung);
}

// --- shelves ------------------------------------------------------------------------------------------------

function asked(section) {
    const { shelf, n, items, path } = section.dataset;
    const question = { n: Number(n) };
    if (items) question.items = items.split(",");
    if (shelf === "viewed") question.items = api.viewed().slice(-1);
    if (shelf === "cart") question.items = cart().map((line) => line.sku).slice(-50);
    if (shelf === "search") question.rank = JSON.parse(one("#found").textContent);
    if (shelf === "category") Object.assign(question, { category: path, in_category: path });
    return question;
}

async function fillShelf(section) {
    const kind = section.dataset.shelf;
    const list = one("[data-list]", section);
    const question = asked(section);
    const needsItems = ["viewed", "cart"].includes(kind);
    if (needsItems && !question.items.length) {
        section.hidden = true;
        return false;
    }
    if (kind === "viewed") {
        const last = stored("last", null);
        one("h2", section).textContent = last ? fill(texts.viewed, last.title) : one("h2", section).textContent;
    }
    const order = () => all("[data-sku]", list).map((place) => place.dataset.sku);
    const before = order();
    const known = new Set(before);
    const slate = await api.shelf(list, section.dataset.placement, {
        ...question,
        render: (item, answer) => card(item, known, answer),
        shown: (answer) => { section.hidden = !isTrue(kind, answer); },
        empty: () => { section.hidden = true; },
        failed: (answer) => {
            if (answer.error?.name === "AbortError" || before.length) return;
            list.replaceChildren(made("li", "sf-note", texts.again));
        },
    });
    if (!slate.request_id) return false;
    one("[data-why]", section).replaceChildren(...facts(slate, question));
    const changed = before.length > 0 && order().join() !== before.join();
    if (changed) say(fill(texts.changed, one("h2", section).textContent));
    return changed;
}

// For staff: what the slate stands on, and the way to the same slate in Inspect.
function facts(slate, question) {
    if (!body.dataset.inspectUrl) return [];
    const query = new URLSearchParams({ placement: slate.placement, lang: language });
    if (api.settings().personalised) query.set("shopper", api.shopper());
    if (question.items?.length) query.set("items", question.items.join(","));
    const link = made("a", "", texts.inspect);
    link.href = `${body.dataset.inspectUrl}?${query}`;
    const number = slate.publication == null ? "" : `#${slate.publication} · `;
    return [made("span", "", `${number}${slate.rung}`), link];
}

const refresh = () => Promise.all(all("[data-shelf]").map(fillShelf));

// Shelves follow what was just done: once it has arrived, and again while the first one has not changed.
async function follow() {
    await Promise.race([api.flush(), sleep(500)]);
    for (const wait of LOOKS) {
        await sleep(wait);
        const [first] = await refresh();
        if (first) return;
    }
}

// --- cart ---------------------------------------------------------------------------------------------------

const cart = () => stored("cart", []);

function cartShow() {
    const lines = cart();
    const count = lines.reduce((sum, line) => sum + line.quantity, 0);
    Object.assign(one("[data-cart-count]"), { hidden: !count, textContent: count });
    const list = one("[data-cart]");
    if (!list) return;
    list.replaceChildren(...lines.map(cartLine));
    const total = lines.reduce((sum, line) => sum + line.quantity * (line.price || 0), 0);
    one("[data-total]").textContent = money(total, lines[0]?.currency ?? "EUR");
    one("[data-total-box]").hidden = !count;
    if (!count && !one("[data-cart-note]").textContent) one("[data-cart-note]").textContent = texts.empty;
}

function cartLine(line) {
    const link = made("a", "", line.title);
    link.href = body.dataset.productUrl.replace("__sku__", encodeURIComponent(line.sku));
    const picture = made("img");
    Object.assign(picture, { src: line.image, alt: "", width: 72, height: 72 });
    const many = made("input");
    Object.assign(many, { type: "number", min: 1, max: 99, value: line.quantity });
    many.setAttribute("aria-label", fill(texts.quantity, line.title));
    many.addEventListener("change", () => {
        const quantity = Math.min(99, Math.max(1, Math.round(Number(many.value)) || 1));
        cartChange(cart().map((other) => (other.sku === line.sku ? { ...other, quantity } : other)));
    });
    const away = made("button", "sf-quiet", "×");
    away.type = "button";
    away.setAttribute("aria-label", fill(texts.remove, line.title));
    away.addEventListener("click", () => cartChange(cart().filter((other) => other.sku !== line.sku)));
    const sum = made("b", "", money(line.quantity * (line.price || 0), line.currency));
    return made("li", "", ...(line.image ? [picture] : []), link, many, sum, away);
}

function cartChange(lines) {
    keep("cart", lines);
    cartShow();
    refresh();
}

function order() {
    const lines = cart();
    api.purchase(lines.map(({ sku, quantity, price }) => ({ sku, quantity, price })));
    one("[data-cart-note]").textContent = texts.thanks;
    say(texts.thanks);
    keep("cart", []);
    cartShow();
    follow();
}

// --- the page -------------------------------------------------------------------------------------------------

function productPage(element) {
    const { sku, title, image, currency } = element.dataset;
    const price = element.dataset.price === "" ? null : Number(element.dataset.price);
    keep("last", { sku, title });
    api.view(sku, { price });
    const add = one("[data-add]");
    add.addEventListener("click", () => {
        const lines = cart();
        const there = lines.find((line) => line.sku === sku);
        if (there) there.quantity = Math.min(99, there.quantity + 1);
        else lines.push({ sku, title, image, currency, price, quantity: 1 });
        keep("cart", lines);
        api.cart(sku, { price, quantity: 1 });
        add.textContent = texts.added;
        say(texts.added);
        setTimeout(() => { add.textContent = texts.add; }, 1_600);
        cartShow();
        follow();
    });
    const like = one("[data-like-product]");
    like.setAttribute("aria-pressed", String(stored("likes", []).includes(sku)));
    like.addEventListener("click", () => liked(like, sku));
}

function whoNow() {
    const { shopper } = api.settings();
    const choice = one("[data-who]");
    if (choice) {
        if (shopper && !all("option", choice).some((option) => option.value === shopper)) choice.append(new Option(shopper, shopper));
        choice.value = shopper;
    }
    one("[data-personalised]").checked = api.settings().personalised;
    if (shopper) one("[data-now]").textContent = shopper;
    else if (choice) one("[data-now]").textContent = choice.options[0].textContent;
}

api.configure({ channel: "storefront", timeout: 5_000 });
one("[data-who]")?.addEventListener("change", (event) => {
    api.identify(event.target.value);
    whoNow();
    refresh();
});
one("[data-personalised]").addEventListener("change", (event) => {
    api.configure({ personalised: event.target.checked });
    refresh();
});
one("[data-forget]").addEventListener("click", () => {
    for (const name of ["cart", "likes", "last"]) keep(name, null);
    api.configure({ consent: false }).configure({ consent: true, shopper: "", personalised: true });
    location.reload();
});
one("[data-order]")?.addEventListener("click", order);
const product = one("[data-product]");
if (product) productPage(product);
const address = new URLSearchParams(location.search);
if (body.dataset.page === "search" && address.get("q")) api.search(address.get("q"));
// Opened from the studio, with the shopper who is looked at there.
if (one("[data-who]") && address.get("shopper")) api.identify(address.get("shopper"));
whoNow();
cartShow();
if (product) Promise.race([api.flush(), sleep(400)]).then(refresh);
else refresh();
// Back from a product page: the browser may show this page as it was.
addEventListener("pageshow", (event) => event.persisted && (cartShow(), refresh()));
