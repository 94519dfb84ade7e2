// The form in which the input of a batch is changed.
"use strict";
window.interlockParts(document.getElementById("edit-input"));
