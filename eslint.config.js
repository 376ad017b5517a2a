import { defineConfig, globalIgnores } from 'eslint/config';
import regexp from 'eslint-plugin-regexp';
import tseslint from 'typescript-eslint';

import { shortVoidArrows } from './scripts/short-void-arrows.mjs';

const TYPED = ['src/**/*.{ts,tsx}', 'test/**/*.ts', 'bench/**/*.ts', 'examples/**/*.ts'];
const PAGE = ['src/page/**/*.{ts,tsx}'];
const UNTYPED = ['**/*.js', '**/*.mjs', '**/*.cjs'];

/** Rooms that are pure: time and randomness come to them as arguments, effects leave by a sink. */
const MACHINES = [
  'src/{core,wire,broker,mmi,titanic,bstar,stream}/**/*.ts',
  'src/zmtp/{connection,curve}/**/*.ts',
  'src/extensions/*/machine/**/*.ts',
];
const MACHINES_NOT = [
  'src/*/io/**',
  'src/core/clock.ts',
  'src/core/random.ts',
  'src/core/system.ts',
];

const NO_INSTANCEOF_ERROR = {
  selector: 'BinaryExpression[operator="instanceof"][right.name=/Error$/]',
  message:
    'instanceof fails across realms and copies of a package: match on codeOf(error) (core/errors).',
};

const SYNTAX = [
  NO_INSTANCEOF_ERROR,
  {
    selector: 'TSAsExpression > TSAsExpression > TSUnknownKeyword',
    message: '`as unknown as` hides what a value is: narrow it by a check, or fix its type.',
  },
];

const SRC_SYNTAX = [
  ...SYNTAX,
  {
    selector: 'ExportDefaultDeclaration',
    message: 'Export it by its name: a thing is called the same everywhere.',
  },
  {
    selector: 'ExportAllDeclaration',
    message: 'No barrels: import from the file that has it; an SDK entry point lists names.',
  },
];

const IMPURE = 'A machine is pure: take it as an argument (`now`, `random`) or emit an effect.';
const TIMERS = 'setTimeout setInterval setImmediate clearTimeout clearInterval clearImmediate';
const OTHERS = 'queueMicrotask performance process crypto fetch';
const impure = (name) => ({ name, message: IMPURE });

const MACHINE_SYNTAX = [
  ...SRC_SYNTAX,
  { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: IMPURE },
];

const plainRules = {
  eqeqeq: 'error',
  'no-var': 'error',
  'prefer-const': 'error',
  'object-shorthand': 'error',
  curly: ['error', 'multi-line'],
  'no-implicit-coercion': 'error',
  'default-case-last': 'error',
  'no-self-compare': 'error',
  'no-template-curly-in-string': 'error',
};

export default defineConfig(
  globalIgnores(['build/', 'compiled/', '**/dist/', 'release/', 'data/', 'coverage/']),
  { linterOptions: { reportUnusedDisableDirectives: 'error', reportUnusedInlineConfigs: 'error' } },
  {
    files: UNTYPED,
    extends: [tseslint.configs.recommended],
    rules: {
      ...plainRules,
      'no-restricted-syntax': ['error', NO_INSTANCEOF_ERROR],
    },
  },
  { files: ['**/*.cjs'], rules: { '@typescript-eslint/no-require-imports': 'off' } },
  {
    files: TYPED,
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: { project: './tsconfig.test.json', tsconfigRootDir: import.meta.dirname },
    },
    plugins: { house: { rules: { 'short-void-arrows': shortVoidArrows } } },
    rules: {
      ...plainRules,
      'house/short-void-arrows': 'error',
      'no-restricted-syntax': ['error', ...SYNTAX],
      '@typescript-eslint/consistent-type-imports': [
        'error',
        // A statement that is all type is erased, and the architecture rules can tell it.
        { fixStyle: 'separate-type-imports', disallowTypeAnnotations: false },
      ],
      '@typescript-eslint/no-import-type-side-effects': 'error',
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/restrict-plus-operands': ['error', { allowNumberAndString: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
      '@typescript-eslint/no-unused-vars': [
        'error',
        // A method of an interface keeps the names of what it does not need.
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true },
      ],
      // An exported class's field has its type written out; locals infer it.
      '@typescript-eslint/consistent-generic-constructors': 'off',
      // Hot loops count, because that is faster over buffers and typed arrays.
      '@typescript-eslint/prefer-for-of': 'off',
      // An implementation of an asynchronous interface need not wait for anything.
      '@typescript-eslint/require-await': 'off',
      // A sink that ignores an event is an empty method; an empty function says so by itself.
      '@typescript-eslint/no-empty-function': 'off',
    },
  },
  {
    files: ['src/**/*.{ts,tsx}'],
    plugins: { regexp },
    rules: {
      'no-restricted-syntax': ['error', ...SRC_SYNTAX],
      // Peers choose texts: the time of a pattern is linear in the length of what it meets.
      'regexp/no-super-linear-backtracking': ['error', { report: 'potential' }],
      'regexp/no-super-linear-move': ['error', { report: 'potential' }],
      // What an export takes and returns is written down; only schemas (zod) have inferred types.
      '@typescript-eslint/explicit-module-boundary-types': 'error',
    },
  },
  {
    // The rule does not see that the table has a type.
    files: ['src/bstar/fsm.ts'],
    rules: { '@typescript-eslint/explicit-module-boundary-types': 'off' },
  },
  {
    // It runs in browsers, and is compiled with their types.
    files: PAGE,
    languageOptions: {
      parserOptions: { project: './tsconfig.page.json', tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      'no-restricted-properties': [
        'error',
        ...'innerHTML outerHTML insertAdjacentHTML srcdoc write dangerouslySetInnerHTML'
          .split(' ')
          .map((property) => ({
            property,
            message: 'Peers choose names and reasons: text only.',
          })),
      ],
    },
  },
  {
    // What the command prints is its result; the daemon logs (contract: one JSON object a line).
    files: ['src/**/*.{ts,tsx}'],
    ignores: ['src/cli/**'],
    rules: { 'no-console': 'error' },
  },
  {
    files: MACHINES,
    ignores: MACHINES_NOT,
    rules: {
      'no-restricted-globals': ['error', ...`${TIMERS} ${OTHERS}`.split(' ').map(impure)],
      'no-restricted-properties': [
        'error',
        { object: 'Math', property: 'random', message: IMPURE },
        { object: 'Date', property: 'now', message: IMPURE },
      ],
      'no-restricted-syntax': ['error', ...MACHINE_SYNTAX],
    },
  },
  {
    // The fleet is an extension; `MMI_FLEET` is a name of the protocol.
    files: ['src/{core,broker,mmi,titanic,bstar,stream}/**/*.ts'],
    ignores: MACHINES_NOT,
    rules: {
      'no-restricted-syntax': [
        'error',
        ...MACHINE_SYNTAX,
        {
          selector: ':matches(Identifier, PrivateIdentifier)[name=/^(?!MMI_FLEET$).*fleet/i]',
          message:
            'The kernel knows other brokers, remote workers and an interconnect: name it by what it does.',
        },
      ],
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      // `expect(sink.send)` takes a method without calling it.
      '@typescript-eslint/unbound-method': 'off',
    },
  },
);
