/** The files for Compose, Kubernetes and KEDA, compared with the schemas of what reads them. */
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { Ajv, type SchemaObject } from 'ajv';
import { parse, parseAllDocuments } from 'yaml';

import { run } from '../../support/tarballs.js';

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
}

interface Model {
  validate(): void;
}

const PAIR = 'deploy/kubernetes/pair.yaml';
const SCALED = 'deploy/kubernetes/scaled-object.yaml';
const WORKERS = 'deploy/kubernetes/render-worker.yaml';

function manifestsOf(file: string): Manifest[] {
  return parseAllDocuments(readFileSync(file, 'utf8')).map((each) => each.toJS() as Manifest);
}

function moduleOf({ apiVersion }: Manifest): string {
  const library = apiVersion.startsWith('keda.sh/')
    ? '@kubernetes-models/keda'
    : 'kubernetes-models';
  return `${library}/${apiVersion}`;
}

/** What the schema of a manifest's kind says; it ignores fields that it does not know. */
async function validate(manifest: Manifest): Promise<void> {
  const models = (await import(moduleOf(manifest))) as Record<string, new (data: object) => Model>;
  const Kind = models[manifest.kind];
  if (Kind === undefined) throw new Error(`no kind ${manifest.kind} in ${manifest.apiVersion}`);
  new Kind(manifest).validate();
}

/** What the compiler says, which refuses fields that the types do not have. */
function compile(manifests: readonly Manifest[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'mdp-'));
  try {
    symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
    const text = manifests.map((manifest, at) => {
      const { kind } = manifest;
      const type = `import('${moduleOf(manifest)}').I${kind}`;
      return `export const m${at}: ${type} = ${JSON.stringify(manifest)};\n`;
    });
    writeFileSync(join(folder, 'manifests.mts'), text.join(''));
    const options = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext'];
    const args = [resolve('node_modules/@typescript/native/bin/tsc'), ...options, 'manifests.mts'];
    return run(process.execPath, args, folder);
  } catch (error) {
    return String(error);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('deploy/compose.yaml', () => {
  const file = 'node_modules/dclint/schemas/compose.schema.json';
  // The address of its own schema is not the one that Ajv knows.
  const schema = JSON.parse(readFileSync(file, 'utf8'), (key, value: unknown) =>
    key === '$schema' ? undefined : value,
  ) as SchemaObject;
  const check = new Ajv({ strict: false, validateFormats: false }).compile(schema);
  const compose = parse(readFileSync('deploy/compose.yaml', 'utf8'), { merge: true }) as unknown;

  it('is what the Compose specification allows', () => {
    expect([check(compose), check.errors]).toEqual([true, null]);
  });
});

describe('deploy/kubernetes', () => {
  const manifests = [PAIR, SCALED, WORKERS].flatMap(manifestsOf);

  it('is what the schemas of Kubernetes and KEDA allow', async () => {
    expect(manifests.map(({ kind }) => kind)).toContain('ScaledObject');
    for (const manifest of manifests) await validate(manifest);
    expect(compile(manifests)).toBe('');
  });

  it('has a kustomize base with every file of the pair', () => {
    const [base] = manifestsOf('deploy/kubernetes/kustomization.yaml');
    expect(base).toMatchObject({ kind: 'Kustomization', resources: ['pair.yaml'] });
  });
});
