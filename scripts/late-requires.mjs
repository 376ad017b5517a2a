/**
 * Loads the modules of Node in `names` where they are used, by calls of `require` instead of a variable at the head
 * of the file: once a module is loaded, such a call takes little time. The other modules of Node keep their variable,
 * but not the copy of all their exports that the bundler makes of each. That is a tenth of the CPU time of `majordomo
 * request`, and three mebibytes of a broker.
 *
 * @param text as rolldown writes CommonJS
 * @param unmet names of which no text has loaded one yet: those of this text are removed
 * @throws if the head of the file loads one of them in a way that is not known here
 */
export function withLateRequires(text, names, unmet) {
  const all = text
    .replace(/^(node_\w+) = .*__toESM\(\1, 1\);$/gm, '$1 = { __proto__: $1, default: $1 };')
    .replace(/^require\("node:[^"]+"\);$/gm, '');
  return names.reduce((code, each) => {
    const name = `node_${each.replace('/', '_')}`;
    const head = `let ${name} = require("node:${each}");`;
    if (code.includes(head)) unmet.delete(each);
    const rest = code
      .replace(head, '')
      .replace(`${name} = { __proto__: ${name}, default: ${name} };`, '');
    const unknown = new RegExp(`^\\S.*["'\`]node:${each}["'\`].*`, 'm').exec(rest);
    if (unknown !== null) throw new Error(`node:${each} would be loaded at once: ${unknown[0]}`);
    // (`new require("x").A()` would make an object of `require`.)
    return rest
      .replace(new RegExp(`\\bnew ${name}(\\.default)?\\b`, 'g'), `new (require("node:${each}"))`)
      .replace(new RegExp(`\\b${name}(\\.default)?\\b`, 'g'), `require("node:${each}")`);
  }, all);
}
