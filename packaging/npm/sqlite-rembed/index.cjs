"use strict";
const { MUSL, familySync } = require("detect-libc");
const { optionalDependencies } = require("./package.json");

const FILES = { darwin: "rembed0.dylib", win32: "rembed0.dll" };

exports.getLoadablePath = function getLoadablePath() {
  const { platform, arch } = process;
  const libc = platform === "linux" && familySync() === MUSL ? "-musl" : "";
  const name = `sqlite-rembed-${platform}-${arch}${libc}`;
  if (!(name in optionalDependencies)) {
    const known = Object.keys(optionalDependencies).map((known) => known.slice("sqlite-rembed-".length));
    throw new Error(
      `sqlite-rembed has no library for ${platform}-${arch}${libc}, only for ${known.join(", ")}. ` +
        "Build it from source (cargo build --release) and pass its path to loadExtension().",
    );
  }
  try {
    return require.resolve(`${name}/${FILES[platform] ?? "rembed0.so"}`);
  } catch {
    throw new Error(
      `the package ${name}, which holds the library of sqlite-rembed, is not installed: run npm install again ` +
        `on this machine, without --omit=optional, or: npm install ${name}@${optionalDependencies[name]}`,
    );
  }
};
