import { getLoadablePath } from "sqlite-rembed";
export const path: string = getLoadablePath();
