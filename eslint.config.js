import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

const outputOnly =
  'write through the streams and renderers of lib/output, so that --json and --progress keep their promises';
const environmentOnly = 'read the environment through lib/platform, so that there is one place that knows it';

export default tseslint.config(
  { ignores: ['dist/', '.build/', 'node_modules/'] },
  eslint.configs.recommended,
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // A number in a message needs no ceremony.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // A Failure is the only thing thrown on purpose; abort reasons are rethrown as they are.
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-definitions': ['error', 'interface'],
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      'no-console': 'error',
      'no-restricted-syntax': [
        'error',
        {
          selector: "MemberExpression[object.name='process'][property.name='exit']",
          message: 'return, and let the base command set the exit code',
        },
        {
          selector: "MemberExpression[object.name='process'][property.name=/^(stdout|stderr|stdin)$/]",
          message: outputOnly,
        },
        { selector: "MemberExpression[object.name='process'][property.name=/^(env|argv)$/]", message: environmentOnly },
        {
          selector: "TSAsExpression:not([typeAnnotation.typeName.name='const'])",
          message: 'narrow the value instead of asserting its type',
        },
      ],
    },
  },
  { files: ['src/lib/platform/environment.ts', 'src/lib/output/streams.ts'], rules: { 'no-restricted-syntax': 'off' } },
  {
    files: ['test/**/*.ts'],
    // node:test returns promises that the runner itself awaits.
    rules: {
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            { from: 'package', package: 'node:test', name: ['test', 'describe', 'it', 'suite', 'before', 'after'] },
          ],
        },
      ],
    },
  },
  {
    files: ['**/*.js'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: {
      globals: {
        console: 'readonly',
        process: 'readonly',
        setInterval: 'readonly',
        setTimeout: 'readonly',
        clearInterval: 'readonly',
      },
    },
  },
);
