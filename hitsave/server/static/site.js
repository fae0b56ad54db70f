"use strict";
// Pages work without this. It shows times as the reader's clock has them, keeps tables where they were scrolled to, and
// goes where a part of a page cannot be had.
const format = new Intl.DateTimeFormat(undefined, {year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hour12: false});

function localTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]:not([title])")) {
    const moment = new Date(element.dateTime);
    if (element.dateTime && !isNaN(moment)) {
      const part = Object.fromEntries(format.formatToParts(moment).map(({type, value}) => [type, value]));
      element.title = element.textContent;
      element.textContent = `${part.year}-${part.month}-${part.day} ${part.hour}:${part.minute}`;
    }
  }
}

localTimes(document);
const zone = document.getElementById("zone");
if (zone) {
  zone.textContent = ` · times in ${Intl.DateTimeFormat().resolvedOptions().timeZone}`;
}
document.addEventListener("htmx:afterSettle", (event) => localTimes(event.target.isConnected ? event.target.parentElement || document : document));
// Who has scrolled to a column and sorts by it still sees it: a table that takes the place of another stands where that stood.
const across = new Map();
const regions = () => document.querySelectorAll("div.scroll[aria-label]");
document.addEventListener("htmx:beforeSwap", () => regions().forEach((region) => across.set(region.ariaLabel, region.scrollLeft)));
document.addEventListener("htmx:afterSwap", () => regions().forEach((region) => { region.scrollLeft = across.get(region.ariaLabel) || 0; }));
document.addEventListener("htmx:responseError", (event) => { location.href = event.detail.pathInfo.requestPath; });
document.addEventListener("htmx:beforeSwap", (event) => {
  // An answer without the part that is wanted is another page: where one logs in, for example.
  if (!event.detail.serverResponse.includes('id="results"')) {
    event.detail.shouldSwap = false;
    location.href = event.detail.pathInfo.finalRequestPath || event.detail.pathInfo.requestPath;
  }
});
for (const field of document.querySelectorAll("input.secret")) {
  field.addEventListener("focus", () => field.select());
}
