"use strict";
// Colours of both themes by role.  The series are Okabe and Ito's palette, brightened on dark ground.
const THEMES = {
  light: {
    background: "#ffffff", text: "#1b1f24", muted: "#b4bbc3", grid: "#e3e7eb", axis: "#8b949e", loss: "#8e3a80",
    series: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8f98"],
  },
  dark: {
    background: "#14171c", text: "#e8ebef", muted: "#545e6a", grid: "#2b323b", axis: "#6b7682", loss: "#d88fd0",
    series: ["#4aa3e0", "#ff8542", "#2bc79a", "#e39cc4", "#f2b134", "#8fd3f7", "#9aa1aa"],
  },
};

// The value with every "@role" replaced by the colour it has in the theme; null entries are left out.
function themed(value, theme) {
  if (Array.isArray(value)) return value.map((item) => themed(item, theme));
  if (value !== null && typeof value === "object") {
    const entries = Object.entries(value).filter(([, item]) => item !== null);
    return Object.fromEntries(entries.map(([key, item]) => [key, themed(item, theme)]));
  }
  if (typeof value !== "string" || value[0] !== "@") return value;
  const role = value.slice(1);
  return role.startsWith("series") ? THEMES[theme].series[Number(role.slice(6))] : THEMES[theme][role];
}

const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
const themeButton = document.getElementById("theme");
const themeListeners = [];
let currentTheme = null;

function setTheme(theme) {
  currentTheme = theme;
  document.documentElement.dataset.theme = theme;
  themeButton.textContent = theme === "dark" ? "Light" : "Dark";
  themeButton.setAttribute("aria-label", `Change to the ${theme === "dark" ? "light" : "dark"} theme`);
  for (const listener of themeListeners) listener();
}

let themeChosen = false;
setTheme(prefersDark.matches ? "dark" : "light");
prefersDark.addEventListener("change", (event) => {
  if (!themeChosen) setTheme(event.matches ? "dark" : "light");
});
themeButton.addEventListener("click", () => {
  themeChosen = true;
  setTheme(currentTheme === "dark" ? "light" : "dark");
});
