// Search as you type. The server answers <li role="option" data-value data-label>; picking one fills the
// hidden field and, inside a form that submits itself, submits it. Arrows, Enter, Escape, Backspace.

const WAIT = 140;

class Combobox {
    constructor(box) {
        this.box = box;
        this.input = box.querySelector("[role=combobox]");
        this.hidden = box.querySelector("input[type=hidden]");
        this.list = box.querySelector("[role=listbox]");
        this.multiple = box.hasAttribute("data-multiple");
        this.current = -1;
        this.shown = this.input.value;
        this.input.addEventListener("input", () => this.later());
        this.input.addEventListener("focus", () => { this.input.select(); this.later(0); });
        this.input.addEventListener("keydown", (event) => this.key(event));
        this.input.addEventListener("blur", () => setTimeout(() => this.close(), 150));
        this.list.addEventListener("mousedown", (event) => {
            event.preventDefault();
            const option = event.target.closest("[role=option]");
            if (option) this.pick(option);
        });
        box.addEventListener("click", (event) => {
            const chip = event.target.closest("[data-chip]");
            if (chip) this.set(this.values().filter((one) => one !== chip.dataset.chip));
        });
    }

    values() { return this.hidden.value.split(",").filter(Boolean); }
    options() { return [...this.list.querySelectorAll("[role=option]")]; }

    later(wait = WAIT) {
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.search(), wait);
    }

    async search() {
        this.abort?.abort();
        this.abort = new AbortController();
        const url = new URL(this.box.dataset.url, location.href);
        url.searchParams.set("q", this.input.value === this.shown && !this.multiple ? "" : this.input.value);
        try {
            const answer = await fetch(url, { signal: this.abort.signal, headers: { "HX-Request": "true" } });
            if (!answer.ok) return;
            this.list.innerHTML = await answer.text();
        } catch (error) {
            if (error.name !== "AbortError") throw error;
            return;
        }
        if (!this.options().length) {
            const none = Object.assign(document.createElement("li"), { className: "rp-none", textContent: this.box.dataset.none });
            none.setAttribute("role", "presentation");
            this.list.replaceChildren(none);
        }
        this.options().forEach((option, index) => { option.id = `${this.list.id}-${index}`; });
        if (document.activeElement === this.input) this.open();
    }

    open() {
        this.list.hidden = false;
        this.input.setAttribute("aria-expanded", "true");
        this.mark(this.input.value && this.options().length ? 0 : -1);
    }

    close() {
        this.list.hidden = true;
        this.input.setAttribute("aria-expanded", "false");
        this.input.removeAttribute("aria-activedescendant");
    }

    mark(index) {
        const options = this.options();
        this.current = index;
        options.forEach((option, at) => option.setAttribute("aria-selected", String(at === index)));
        if (options[index]) {
            this.input.setAttribute("aria-activedescendant", options[index].id);
            options[index].scrollIntoView({ block: "nearest" });
        } else this.input.removeAttribute("aria-activedescendant");
    }

    key(event) {
        const options = this.options();
        if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            event.preventDefault();
            if (this.list.hidden) return void this.search();
            const step = event.key === "ArrowDown" ? 1 : -1;
            this.mark((this.current + step + options.length) % (options.length || 1));
        } else if (event.key === "Enter") {
            if (!this.list.hidden && options[this.current]) {
                event.preventDefault();
                this.pick(options[this.current]);
            } else if (!this.input.value) {
                event.preventDefault();
                this.set([]);
            } else {
                event.preventDefault();
            }
        } else if (event.key === "Escape") {
            if (!this.list.hidden) { event.preventDefault(); event.stopPropagation(); this.close(); } else this.input.blur();
        } else if (event.key === "Backspace" && !this.input.value && this.multiple) {
            this.set(this.values().slice(0, -1));
        }
    }

    // Chips for what was picked here; those of the page reload with it.
    chips() {
        const place = this.box.querySelector(".rp-chips");
        if (!place) return;
        const values = this.values();
        place.querySelectorAll("[data-chip]").forEach((chip) => { if (!values.includes(chip.dataset.chip)) chip.remove(); });
        for (const value of values) {
            if (place.querySelector(`[data-chip="${CSS.escape(value)}"]`)) continue;
            const chip = Object.assign(document.createElement("button"), { type: "button", className: "rp-chip", textContent: this.label ?? value, title: this.label ?? value });
            chip.dataset.chip = value;
            chip.setAttribute("aria-label", `${this.box.dataset.remove} ${this.label ?? value}`);
            place.append(chip);
        }
    }

    pick(option) {
        this.label = option.dataset.label ?? option.dataset.value;
        this.set(this.multiple ? [...this.values(), option.dataset.value] : [option.dataset.value]);
    }

    set(values) {
        this.hidden.value = [...new Set(values)].join(",");
        this.input.value = this.multiple ? "" : (values.length ? this.label ?? values[0] : "");
        this.shown = this.input.value;
        this.chips();
        this.close();
        this.hidden.dispatchEvent(new Event("change", { bubbles: true }));
        this.box.dispatchEvent(new CustomEvent("portal:pick", { bubbles: true, detail: this.hidden.value }));
    }
}

function start(root) {
    root.querySelectorAll("[data-combobox]:not([data-ready])").forEach((box) => {
        box.setAttribute("data-ready", "");
        new Combobox(box);
    });
}
start(document);
// At the swap itself: "htmx:load" comes some 20 ms later, and what was typed before it would find nobody listening.
document.addEventListener("htmx:afterSwap", () => start(document));
document.addEventListener("htmx:oobAfterSwap", () => start(document));
