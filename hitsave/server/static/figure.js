"use strict";
// Draws the figure of this page. It runs in a frame that has no origin and can reach nothing.
const figure = JSON.parse(document.getElementById("data").textContent);
const layout = Object.assign({autosize: true}, figure.layout);
delete layout.width;
delete layout.height;
Plotly.newPlot("figure", figure.data || [], layout, {responsive: true, displaylogo: false});
