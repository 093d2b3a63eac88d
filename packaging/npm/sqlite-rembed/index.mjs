import { createRequire } from "node:module";

export const { getLoadablePath } = createRequire(import.meta.url)("./index.cjs");
