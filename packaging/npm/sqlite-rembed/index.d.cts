/** The file of the extension, for `db.loadExtension()`. Throws where there is none for this platform. */
export declare function getLoadablePath(): string;
