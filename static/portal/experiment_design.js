// The design of an experiment: the split's bar, the slice in its layer, fields that only some choices have,
// and a question before what was typed and not kept is left behind.

const number = (text) => Number(String(text).replace(",", "."));

// --- shares: the bar follows, and says when they do not add up -------------------------------------------------
function split() {
    const bar = document.querySelector("[data-split]");
    if (!bar) return;
    let sum = 0;
    document.querySelectorAll("[data-share]").forEach((field) => {
        const share = number(field.value) || 0;
        sum += share;
        const part = bar.querySelector(`[data-split-part="${field.dataset.share}"]`);
        if (part) part.style.flexGrow = String(Math.max(0, share));
    });
    const words = document.querySelector("[data-split-sum]");
    const right = Math.abs(sum - 100) < 0.011;
    words.textContent = right ? words.dataset.right : words.dataset.wrong.replace("#", String(Math.round(sum * 100) / 100));
    words.classList.toggle("rp-warn", !right);
}
document.addEventListener("input", (event) => {
    if (event.target.matches("[data-share]")) split();
});

// --- layers: the own slice where the fields say, red where somebody else is ------------------------------------
const slice = (name) => document.querySelector(`#design-form [name=${name}]`);

function picture() {
    if (!slice("layer_from")) return; // a switchback takes the whole shop
    const layer = slice("layer");
    const [from, to] = [number(slice("layer_from").value), number(slice("layer_to").value)];
    document.querySelectorAll("[data-layer]").forEach((box) => {
        const own = box.querySelector("[data-own]");
        const here = (!layer || box.dataset.layer === layer.value) && to > from;
        own.style.left = `${here ? from : 0}%`;
        own.style.width = `${here ? to - from : 0}%`;
        const clash = [...box.querySelectorAll(".rp-layer-bar .rp-slice-taken")].some((one) => {
            const [left, width] = [parseFloat(one.style.left), parseFloat(one.style.width)];
            return left < to && from < left + width;
        });
        own.classList.toggle("is-clash", here && clash);
    });
}
document.addEventListener("input", (event) => {
    if (/^layer/.test(event.target.name ?? "")) picture();
});
document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-slice-layer]");
    if (!button) return;
    const [from, width] = [Number(button.dataset.sliceFrom), Number(button.dataset.sliceWidth)];
    if (slice("layer")) slice("layer").value = button.dataset.sliceLayer;
    slice("layer_from").value = Math.round(from * 100) / 100;
    slice("layer_to").value = Math.round((from + width) * 100) / 100;
    slice("layer_from").dispatchEvent(new Event("input", { bubbles: true }));
    slice("layer_from").focus();
});

// --- fields that belong to some choices only ----------------------------------------------------------------------
function choose() {
    const ramp = slice("ramp");
    document.querySelectorAll("[data-only-ramp]").forEach((box) => {
        box.hidden = Boolean(ramp) && !box.dataset.onlyRamp.split(" ").includes(ramp.value);
    });
    const form = document.querySelector("[data-metric]");
    if (!form) return;
    form.querySelectorAll("[data-only-kind]").forEach((box) => {
        box.hidden = box.dataset.onlyKind !== form.elements.kind.value;
    });
    // Sessions, orders and slates are counted as they are: the fields on events say nothing about them.
    form.querySelectorAll("[data-measure]").forEach((box) => {
        const of = box.querySelector("select[name$=_of]");
        box.querySelectorAll(".rp-field").forEach((field) => {
            if (!field.contains(of)) field.hidden = of.value !== "event";
        });
    });
}
document.addEventListener("change", choose);

// --- what is not kept yet -------------------------------------------------------------------------------------------
let dirty = false;
document.addEventListener("input", (event) => {
    if (event.target.closest("[data-keep]")) dirty = true;
});
document.addEventListener("submit", () => { dirty = false; });
window.addEventListener("beforeunload", (event) => {
    if (dirty) event.preventDefault();
});

// The first thing that is wrong, for eyes and ears.
function wrong() {
    const found = document.querySelector("#design-form [aria-invalid=true], #metric-form [aria-invalid=true]");
    const field = found?.matches("fieldset") ? found.querySelector("input") : found;
    if (!field) return;
    field.closest("details")?.setAttribute("open", "");
    field.focus();
}

function start() {
    split();
    picture();
    choose();
}
start();
wrong();
document.addEventListener("htmx:afterSettle", start);
