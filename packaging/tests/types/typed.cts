import rembed = require("sqlite-rembed");
export const path: string = rembed.getLoadablePath();
