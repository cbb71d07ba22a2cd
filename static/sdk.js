// RecoPortal in a shop's pages: slates, what was seen and clicked, carts and purchases. No dependencies.
//
//   <script src="https://reco.shop.example/static/sdk.js" data-key="rp_pub_…"></script>
//   <script type="module">
//     RecoPortal.shelf(document.querySelector("#for-you"), "home", { n: 8, render: (item) => card(item) });
//   </script>
//
// Works as a classic script and as a module (`import "…/sdk.js"`); either way `RecoPortal` is global. Nothing
// here throws into the page: a slate that can't be had is an empty one. Events wait in localStorage, one entry
// each, until the server has answered for them; their ids make sending one twice harmless.
(() => {
    "use strict";
    if (globalThis.RecoPortal) return;

    const SEEN_SHARE = 0.5; // of the item, or of the window where the item is taller
    const SEEN_MS = 1_000;
    const SESSION_MS = 30 * 60_000; // a visit ends after so long without anything happening
    const LED_MS = 24 * 3_600_000; // how long a click on a slate is named by what follows from it
    const BATCH = 50;
    const QUEUE_MOST = 1_000;
    const SEEN_DELAY_MS = 1_000; // exposures are gathered; all else goes at once
    const [RETRY_MS, RETRY_MOST_MS] = [1_000, 60_000];
    const KEEPALIVE_CHARACTERS = 20_000; // browsers let 64 KB outlive a page
    const ADDRESS_MOST = 1_800; // a longer question is posted
    const PREFIX = "recoportal.";
    const script = document.currentScript;

    const settings = {
        url: script?.src ? new URL(script.src).origin : location.origin,
        key: "",
        shopper: "", // your pseudonymous id of somebody signed in
        language: "", // of titles; else the page's
        channel: "web",
        consent: true, // false: nothing is reported, nothing is kept, nothing is personal
        personalised: true, // false: slates that know nothing of the shopper
        timeout: 2_000, // milliseconds for a slate
        debug: false,
    };

    const note = (...words) => settings.debug && console.info("RecoPortal:", ...words);

    // Whatever `work` throws stays here.
    const attempt = (work, otherwise = null) => {
        try {
            return work();
        } catch (error) {
            note(error);
            return otherwise;
        }
    };
    const guarded = (work, otherwise) => (...given) => attempt(() => work(...given), otherwise);

    // --- what is kept: in localStorage, or in memory where that is full, forbidden or not wanted ----------
    const memory = new Map();
    const kept = {
        get: (name) => (memory.has(name) ? memory.get(name) : attempt(() => localStorage.getItem(PREFIX + name))),
        set(name, value) {
            const stored = settings.consent && attempt(() => localStorage.setItem(PREFIX + name, value) ?? true);
            if (stored) memory.delete(name);
            else memory.set(name, value);
        },
        remove(name) {
            memory.delete(name);
            attempt(() => localStorage.removeItem(PREFIX + name));
        },
        names(start) {
            const stored = attempt(() => Object.keys(localStorage), []).filter((one) => one.startsWith(PREFIX));
            const found = new Set([...memory.keys(), ...stored.map((one) => one.slice(PREFIX.length))]);
            return [...found].filter((one) => one.startsWith(start)).sort();
        },
        json: (name, otherwise) => attempt(() => JSON.parse(kept.get(name))) ?? otherwise,
    };

    function idNew() {
        const bytes = crypto.getRandomValues(new Uint8Array(16));
        return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    }

    // The id of this visit; a new one after half an hour of nothing.
    function session() {
        const now = Date.now();
        let visit = kept.json("session", null);
        if (!visit?.id || now - visit.at > SESSION_MS) visit = { id: idNew(), at: 0 };
        if (now - visit.at > 10_000) kept.set("session", JSON.stringify({ id: visit.id, at: now }));
        return visit.id;
    }

    // Who asks: somebody signed in, else this browser.
    function shopper() {
        if (settings.shopper) return settings.shopper;
        if (!kept.get("visitor")) kept.set("visitor", `v-${idNew()}`);
        return kept.get("visitor");
    }

    // --- events -------------------------------------------------------------------------------------------
    let [timer, due, notBefore, failures] = [0, Infinity, 0, 0];
    let [running, leaving, batchSize, count] = [null, false, BATCH, 0];
    const underway = new Set();

    function record(kind, fields = {}) {
        if (!settings.consent || !settings.key) return null;
        const event = {
            kind,
            client_event_id: idNew(),
            occurred_at: new Date().toISOString(),
            session: session(),
            channel: settings.channel,
        };
        if (settings.personalised) event.shopper = shopper();
        if (settings.personalised && kept.get("was")) event.anonymous = kept.get("was");
        const led = fields.sku && kept.json("led", {})[fields.sku];
        if (led && Date.now() - led.at < LED_MS) event.request_id = led.request_id;
        for (const [name, value] of Object.entries(fields)) if (value != null && value !== "") event[name] = value;
        count += 1;
        const order = `${Date.now()}.${String(count).padStart(6, "0")}`;
        kept.set(`event.${order}.${event.client_event_id}`, JSON.stringify(event));
        schedule(kind === "seen" ? SEEN_DELAY_MS : 0);
        return event.client_event_id;
    }

    function queued() {
        const names = kept.names("event.");
        for (const name of names.splice(0, Math.max(0, names.length - QUEUE_MOST))) kept.remove(name);
        const found = names.map((name) => ({ name, event: kept.json(name, null) }));
        for (const one of found) if (!one.event) kept.remove(one.name);
        return found.filter((one) => one.event);
    }

    function schedule(delay) {
        const at = Math.max(Date.now() + delay, notBefore);
        if (timer && at >= due) return;
        clearTimeout(timer);
        due = at;
        timer = setTimeout(() => flush(), at - Date.now());
    }

    // Sends what waits; resolves to whether all of it has arrived.
    function flush() {
        clearTimeout(timer);
        timer = 0;
        due = Infinity;
        running ??= drain();
        return running;
    }

    async function drain() {
        for (await null; ; ) {
            const batch = queued().slice(0, batchSize);
            if (!batch.length || !settings.key) {
                running = null;
                return !batch.length;
            }
            const wait = await send(batch).catch(() => 0);
            if (wait !== null) {
                failures += 1;
                const backoff = Math.min(RETRY_MOST_MS, RETRY_MS * 2 ** (failures - 1));
                notBefore = Date.now() + Math.max(backoff * (0.5 + Math.random() / 2), wait);
                running = null;
                schedule(0);
                return false;
            }
            failures = notBefore = 0;
        }
    }

    // Resolves to null when the batch is dealt with, else to how many milliseconds to wait at least.
    async function send(batch) {
        const body = JSON.stringify({ events: batch.map((one) => one.event) });
        batch.forEach((one) => underway.add(one.name));
        try {
            const keepalive = body.length < KEEPALIVE_CHARACTERS;
            const answer = await fetch(address("events"), { method: "POST", body, keepalive, credentials: "omit" });
            if (answer.ok) {
                settle(batch, (await answer.json().catch(() => ({}))).rejected ?? []);
                batchSize = BATCH;
            } else if (answer.status === 400 || answer.status === 413) {
                // One bad event must not hold up the others: they go by themselves, and it is let go.
                if (batch.length === 1) kept.remove(batch[0].name);
                batchSize = Math.max(1, Math.floor(batch.length / 2));
            } else {
                note("events are answered", answer.status);
                return 1_000 * (Number(answer.headers.get("Retry-After")) || 0);
            }
            return null;
        } finally {
            batch.forEach((one) => underway.delete(one.name));
        }
    }

    // Lets go of a batch that was answered; what was refused for its time goes again by the server's clock.
    function settle(batch, refused) {
        if (refused.length) note("refused", refused);
        if (batch.some((one) => one.event.anonymous === kept.get("was"))) kept.remove("was");
        const mistimed = new Set(refused.filter((one) => one.field === "occurred_at").map((one) => one.index));
        batch.forEach(({ name, event }, index) => {
            if (!mistimed.has(index) || !event.occurred_at) return kept.remove(name);
            delete event.occurred_at;
            kept.set(name, JSON.stringify(event));
        });
    }

    // The page goes: a beacon outlives it. What it carries stays queued, for nobody hears whether it arrived.
    function beacon() {
        leaving = true;
        const left = queued().filter((one) => !underway.has(one.name)).slice(0, BATCH);
        if (!left.length || !settings.key || !navigator.sendBeacon) return;
        const body = JSON.stringify({ events: left.map((one) => one.event) });
        navigator.sendBeacon(address("events"), new Blob([body], { type: "text/plain" }));
    }

    // --- slates ---------------------------------------------------------------------------------------------
    // The key stands in the address: so a browser need not ask first (CORS), and a beacon can carry it.
    function address(path, query = {}) {
        const target = new URL(`${settings.url.replace(/\/$/, "")}/api/v1/${path}`);
        target.search = new URLSearchParams({ ...query, key: settings.key });
        return target.href;
    }

    const handheld = () => (Math.min(screen.width, screen.height) < 600 ? "mobile" : "tablet");
    const device = () => (matchMedia("(pointer: coarse)").matches ? handheld() : "desktop");

    // Who was known by another name a moment ago keeps what experiments showed them.
    const identity = () => ({ shopper: shopper(), session: session(), anonymous: kept.get("was") });

    function question(options) {
        const { signal, timeout, render, empty, failed, shown, ...asked } = options;
        const personal = settings.consent && settings.personalised && asked.personalised !== false;
        const who = personal ? identity() : { personalised: false };
        const all = { lang: settings.language || document.documentElement.lang, device: device(), ...asked, ...who };
        const texts = {};
        for (const [name, value] of Object.entries(all)) {
            if (value == null || value === "" || value.length === 0) continue;
            const pairs = typeof value === "object" && !Array.isArray(value); // attributes: { colour: "red" }
            const plain = pairs ? Object.entries(value).map((pair) => pair.join(":")) : value;
            texts[name] = typeof plain === "boolean" ? String(Number(plain)) : String(plain);
        }
        return texts;
    }

    // What a placement shows: { request_id, rung, items: [{ sku, title, price, … }] }. Options are the API's
    // parameters (items, n, category, exclude, …) and signal, timeout. Never rejects: see `error` of the answer.
    async function slate(placement, options = {}) {
        const stop = new AbortController();
        const clock = setTimeout(() => stop.abort(new Error("timeout")), options.timeout ?? settings.timeout);
        const passOn = () => stop.abort(options.signal.reason);
        try {
            if (!settings.key) throw new Error("no key: call RecoPortal.configure({ key })");
            options.signal?.addEventListener("abort", passOn);
            if (options.signal?.aborted) passOn();
            const asked = question(options);
            const path = `recommendations/${encodeURIComponent(placement)}`;
            const short = address(path, asked);
            const given = { credentials: "omit", signal: stop.signal };
            const long = { ...given, method: "POST", body: JSON.stringify(asked) };
            const answer = await (short.length > ADDRESS_MOST ? fetch(address(path), long) : fetch(short, given));
            const body = await answer.json();
            if (!answer.ok) throw new Error(body.error?.message ?? `status ${answer.status}`);
            return body;
        } catch (error) {
            note(placement, error);
            return { request_id: null, placement, rung: "none", items: [], error };
        } finally {
            clearTimeout(clock);
            options.signal?.removeEventListener("abort", passOn);
        }
    }

    // The visitor's variant in an experiment of the page's own; null: show what you always show. Asking counts as
    // showing it, but with { expose: false }. Never rejects.
    async function variant(experiment, { expose = true } = {}) {
        try {
            if (!settings.key) throw new Error("no key: call RecoPortal.configure({ key })");
            const asked = { ...question({}), experiment, expose: String(Number(expose)) };
            const given = { credentials: "omit", signal: AbortSignal.timeout(settings.timeout) };
            const answer = await fetch(address("assignments", asked), given);
            const body = await answer.json();
            if (!answer.ok) throw new Error(body.error?.message ?? `status ${answer.status}`);
            return body.assignments.find((one) => one.experiment === experiment)?.variant ?? null;
        } catch (error) {
            note(experiment, error);
            return null;
        }
    }

    // --- seen and clicked -----------------------------------------------------------------------------------
    const watched = new WeakMap();
    const seen = new Set();
    const steps = { threshold: [0, 0.25, 0.5, 0.75, 1] };
    const eyes = "IntersectionObserver" in globalThis && new IntersectionObserver(guarded(look), steps);

    function look(entries) {
        for (const entry of entries) {
            const one = watched.get(entry.target);
            if (!one) continue;
            const tall = entry.rootBounds && entry.intersectionRect.height >= SEEN_SHARE * entry.rootBounds.height;
            const there = entry.isIntersecting && (entry.intersectionRatio >= SEEN_SHARE || tall);
            if (there) one.clock ??= setTimeout(() => lookedAt(entry.target, one), SEEN_MS);
            else one.clock = clearTimeout(one.clock) ?? null;
        }
    }

    function lookedAt(element, one) {
        one.clock = null;
        if (watched.get(element) !== one || !element.isConnected) return;
        if (document.hidden) return void (one.clock = setTimeout(() => lookedAt(element, one), SEEN_MS));
        eyes.unobserve(element);
        const mark = `${one.request_id} ${one.sku}`;
        if (seen.has(mark)) return;
        seen.add(mark);
        record("seen", { sku: one.sku, request_id: one.request_id });
    }

    function clicked(event) {
        if ((event.type === "auxclick" && event.button !== 1) || event.target.closest("[data-reco-ignore]")) return;
        const one = watched.get(event.currentTarget);
        if (!one) return;
        const led = kept.json("led", {});
        led[one.sku] = { request_id: one.request_id, at: Date.now() };
        const latest = Object.entries(led).sort((a, b) => b[1].at - a[1].at).slice(0, 200);
        kept.set("led", JSON.stringify(Object.fromEntries(latest)));
        record("click", { sku: one.sku, request_id: one.request_id });
    }

    // Reports when `element` is seen (once) and each time it is clicked, as `item` of `answer` (a slate).
    // Inside it, what is marked data-reco-ignore (a heart, a menu) leads nowhere: no click.
    function watch(element, item, answer) {
        if (!answer?.request_id) return;
        const known = watched.get(element);
        clearTimeout(known?.clock);
        watched.set(element, { sku: item.sku, request_id: answer.request_id, clock: null });
        if (!known) for (const kind of ["click", "auxclick"]) element.addEventListener(kind, guarded(clicked), true);
        if (!eyes) return;
        eyes.unobserve(element);
        eyes.observe(element);
    }

    // Fills `element` with a slate: `render(item, slate)` makes each item's element. A later call for it wins over
    // an earlier one; a slate that can't be had leaves what is there, and calls `failed(slate)`.
    const shelves = new WeakMap();
    async function shelf(element, placement, options = {}) {
        shelves.get(element)?.abort();
        const turn = new AbortController();
        shelves.set(element, turn);
        const answer = await slate(placement, { ...options, signal: turn.signal });
        if (turn.signal.aborted) return answer;
        guarded(() => {
            if (answer.error) return options.failed?.(answer);
            const made = answer.items.map((item) => ({ item, node: options.render(item, answer) }));
            element.replaceChildren(...made.map((one) => one.node));
            for (const { item, node } of made) watch(node, item, answer);
            return answer.items.length ? options.shown?.(answer) : options.empty?.(answer);
        })();
        return answer;
    }

    // --- what the page calls ----------------------------------------------------------------------------------
    function configure(changes = {}) {
        Object.assign(settings, changes);
        if (changes.shopper !== undefined) kept.set("shopper", settings.shopper || "");
        else settings.shopper ||= kept.get("shopper") ?? "";
        if (changes.personalised !== undefined) kept.set("personalised", String(Boolean(changes.personalised)));
        else if (kept.get("personalised") === "false") settings.personalised = false;
        if (changes.consent === false) for (const name of kept.names("")) kept.remove(name);
        else if (settings.key && kept.names("event.").length) schedule(0);
        return RecoPortal;
    }

    // A shopper signs in (their pseudonymous id) or out (""). What this browser did before signing in is theirs;
    // what comes after signing out is somebody else's.
    function identify(who = "") {
        if (!settings.shopper && who) kept.set("was", shopper());
        const gone = settings.shopper && settings.shopper !== who ? ["session", "led", "viewed", "was"] : [];
        for (const name of [...gone, "visitor"]) kept.remove(name);
        return configure({ shopper: who });
    }

    function view(sku, fields = {}) {
        const others = kept.json("viewed", []).filter((one) => one !== sku);
        kept.set("viewed", JSON.stringify([...others, sku].slice(-20)));
        return record("view", { ...fields, sku });
    }

    // lines: [{ sku, quantity, price }]. The order's id makes a page that is loaded again count nothing twice.
    function purchase(lines, { order = idNew() } = {}) {
        const id = (index) => `order-${order}-${index}`.slice(-80);
        return lines.map((line, index) => record("purchase", { ...line, client_event_id: id(index) }));
    }

    const RecoPortal = Object.freeze({
        configure: guarded(configure),
        identify: guarded(identify),
        slate,
        shelf,
        variant,
        watch: guarded(watch),
        event: guarded(record, null),
        view: guarded(view, null),
        cart: guarded((sku, fields = {}) => record("add_to_cart", { ...fields, sku }), null),
        purchase: guarded(purchase, []),
        search: guarded((query) => record("search", { query }), null),
        viewed: guarded(() => kept.json("viewed", []), []), // skus, the last one last
        session: guarded(session, ""),
        shopper: guarded(shopper, ""), // of somebody signed in, else this browser's own
        settings: () => ({ ...settings }),
        flush: guarded(flush, Promise.resolve(false)),
        waiting: guarded(() => kept.names("event.").length, 0),
    });
    globalThis.RecoPortal = RecoPortal;

    addEventListener("pagehide", guarded(beacon));
    addEventListener("pageshow", guarded((event) => (leaving = false) || (event.persisted && flush())));
    addEventListener("online", guarded(flush));
    // A phone may end a hidden page without a word.
    document.addEventListener("visibilitychange", guarded(() => document.hidden && !leaving && flush()));
    if (script?.dataset.key) {
        const { key, shopper, language, url } = script.dataset;
        const given = { key, shopper, language, url };
        guarded(configure)(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)));
    }
})();
