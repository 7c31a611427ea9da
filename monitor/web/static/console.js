// What the console does beyond plain HTML: nothing that a form or a link would not do, too.
"use strict";
