// Slates: arrows move between cards, moved cards glide to their new place, changes are announced.

const still = matchMedia("(prefers-reduced-motion: reduce)");

// --- arrows: the grid is one tab stop, Enter opens the card --------------------------------------------------
document.addEventListener("keydown", (event) => {
    const card = event.target.closest?.("[data-slate-card]");
    if (!card || !event.key.startsWith("Arrow")) return;
    const cards = [...card.closest("[data-slate]").querySelectorAll("[data-slate-card]")];
    const at = cards.indexOf(card);
    const top = card.getBoundingClientRect().top;
    const columns = Math.max(1, cards.filter((one) => Math.abs(one.getBoundingClientRect().top - top) < 4).length);
    const rowLength = Math.max(columns, cards.findIndex((one) => one.getBoundingClientRect().top > cards[0].getBoundingClientRect().top + 4));
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -rowLength, ArrowDown: rowLength }[event.key];
    const next = cards[at + step];
    if (!next) return;
    event.preventDefault();
    cards.forEach((one) => { one.tabIndex = one === next ? 0 : -1; });
    next.focus();
});

// --- a slate that is swapped: remember where each product was, then let it glide ---------------------------------
const places = new Map();
document.addEventListener("htmx:beforeSwap", (event) => {
    places.clear();
    event.detail.target.querySelectorAll?.("[data-slate] [data-key]").forEach((slot) => {
        places.set(slot.dataset.key, slot.getBoundingClientRect());
    });
});
document.addEventListener("htmx:afterSwap", (event) => {
    const box = event.detail.target;
    const slots = box.querySelectorAll?.("[data-slate] [data-key]") ?? [];
    if (!places.size || !slots.length) return;
    for (const slot of slots) {
        const before = places.get(slot.dataset.key);
        if (still.matches) continue;
        if (!before) {
            slot.animate([{ opacity: 0, scale: 0.94 }, { opacity: 1, scale: 1 }], { duration: 180, easing: "ease-out" });
            continue;
        }
        const after = slot.getBoundingClientRect();
        const [dx, dy] = [before.left - after.left, before.top - after.top];
        if (Math.abs(dx) + Math.abs(dy) > 2) {
            slot.animate([{ translate: `${dx}px ${dy}px` }, { translate: "0 0" }], { duration: 220, easing: "cubic-bezier(.2,.8,.3,1)" });
        }
    }
    places.clear();
});

// --- what changed, for ears: after the hand has rested -------------------------------------------------------------
let wait = 0;
document.addEventListener("htmx:afterSwap", (event) => {
    const words = event.detail.target.querySelector?.("[data-announce]")?.dataset.announce;
    if (!words) return;
    clearTimeout(wait);
    wait = setTimeout(() => document.dispatchEvent(new CustomEvent("portal:announce", { detail: words })), 700);
});
