import js from '@eslint/js';
import importX, { createNodeResolver } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

/** The rooms of src/, in order: a file may import its own room and the rooms named before it. */
const rooms = [
  'core',
  'codegen',
  'kernels',
  'devices',
  'graph',
  'models',
  'checkpoints',
  'runtime',
  'data',
  'train',
  'bench',
  'lab',
  'cli',
];

const roomRule = rooms.map((room, i) => ({
  target: `./src/${room}`,
  from: [...rooms.slice(i + 1).map((later) => `./src/${later}`), './src/index.ts'],
  message: `The room ${room} may import only itself and ${rooms.slice(0, i).join(', ') || 'nothing else'}.`,
}));

const readonly = (...names) => Object.fromEntries(names.map((name) => [name, 'readonly']));

export default tseslint.config(
  { ignores: ['dist/', 'coverage/', 'node_modules/'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: { 'import-x': importX },
    settings: {
      'import-x/resolver-next': [createNodeResolver()],
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts'] },
      'import-x/extensions': ['.ts'],
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'import-x/no-cycle': 'error',
      'import-x/no-self-import': 'error',
      'import-x/no-default-export': 'error',
      'import-x/no-restricted-paths': ['error', { zones: roomRule }],
      eqeqeq: 'error',
      'no-console': 'error',
    },
  },
  {
    files: ['*.config.ts'],
    rules: { 'import-x/no-default-export': 'off' },
  },
  {
    files: ['**/*.js'],
    languageOptions: {
      globals: readonly(
        ...['process', 'console', 'performance', 'setTimeout'],
        ...['AbortController', 'Buffer', 'URL', 'URLSearchParams', 'fetch'],
      ),
    },
  },
  {
    files: ['examples/browser/*.js'],
    languageOptions: { globals: readonly('document', 'Blob', 'Image', 'Option') },
  },
);
