/**
 * What `npm run check:dead` takes for used: with `--production` only the program, the SDK and the page (patterns with
 * `!`), so that an import in a test does not count; otherwise also the tests, benchmarks and examples.
 */
export default {
  workspaces: {
    '.': {
      entry: [
        'src/main.ts!',
        'src/page/app.tsx!',
        'src/sdk/{index,client,worker,stream,otel}.ts!',
        'src/testing/testing.ts!',
        // Opened by name: threads, processes.
        'src/**/*-thread.ts!',
        'src/cli/diagnosis/load/{clients,workers}.ts!',
        // scripts/generate-docs.mjs loads them compiled.
        'src/config/document.ts!',
        'src/admin/metrics/metrics-document.ts!',
        'test/**/*.test.ts',
        'test/{chaos/chaos,exploration/explore,fixtures/make,fuzz/{fuzz,record},simulation/simulate}.ts',
        'test/interop/guide/programs/*.ts',
        'bench/*.ts',
        'bench/{curve/cost,fleet/bare,http/echo,sdk/{client,worker},soak/{clients,programs,workers},streams/{handler,peer}}.ts',
        'examples/*.ts',
      ],
      project: ['src/**/*.{ts,tsx}!', '{test,bench,examples}/**/*.ts'],
    },
  },
  // Such a type may be part of the signature of something in use.
  ignoreExportsUsedInFile: { interface: true, type: true },
  // Loaded by a name that is no literal (extensions/fleet/io/library.ts, zmtp/curve/sodium.ts).
  ignoreDependencies: ['@nats-io/transport-node', 'libsodium-wrappers-sumo'],
  preprocessor: './scripts/kept-exports.mjs',
};
