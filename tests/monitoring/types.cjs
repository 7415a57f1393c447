// Are the dashboards what Grafana's own types say a dashboard is? Usage: node types.cjs DASHBOARDS OUT
//
// Each dashboard becomes a TypeScript literal of the types that Grafana 13 publishes in @grafana/schema, and the compiler
// says what is unknown, missing or of the wrong type. Options and field settings of a panel are compared with the types of
// that panel, which the dashboard's own type leaves open.
const fs = require('fs');
const path = require('path');
const { execFileSync } = require('child_process');

const [, , dashboards, out] = process.argv;
const schema = path.dirname(require.resolve('@grafana/schema/package.json'));
const kinds = {
  stat: 'stat', gauge: 'gauge', bargauge: 'bargauge', timeseries: 'timeseries', table: 'table',
  'state-timeline': 'statetimeline',
};

// JSON holds the values of an enum and can never name its members, so each enum becomes the union of its values.
function withoutEnums(text) {
  return text.replace(/export declare enum (\w+) \{([^}]*)\}/g, (_, name, body) => {
    const values = [...body.replace(/\/\*[\s\S]*?\*\//g, '').matchAll(/=\s*("[^"]*"|-?\d+)/g)].map((m) => m[1]);
    return `export type ${name} = ${values.join(' | ')}; export declare const ${name}: any;`;
  });
}

function copyTypes(from, to) {
  fs.mkdirSync(to, { recursive: true });
  for (const entry of fs.readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [path.join(from, entry.name), path.join(to, entry.name)];
    if (entry.isDirectory()) copyTypes(source, target);
    else if (entry.name.endsWith('.d.ts')) fs.writeFileSync(target, withoutEnums(fs.readFileSync(source, 'utf8')));
  }
}

function literalOf(name, dashboard) {
  const { annotations, ...rest } = dashboard;
  const lines = [
    "import type * as d from './types/raw/dashboard/x/types.gen';",
    ...Object.entries(kinds).map(([, room]) => `import type * as ${room} from './types/raw/composable/${room}/panelcfg/x/types.gen';`),
    // A data source puts its own query beside the fields that Grafana knows; these are Prometheus's.
    "type Annotation = Omit<d.AnnotationQuery, 'target'> & { expr: string; step: string; titleFormat: string;",
    '  textFormat: string; tagKeys: string; target: { refId: string; expr: string; interval: string; legendFormat: string } };',
    `export const dashboard: d.Dashboard = ${JSON.stringify(rest)};`,
    `export const annotations: Annotation[] = ${JSON.stringify(annotations.list)};`,
  ];
  for (const panel of dashboard.panels.filter((p) => p.type !== 'row')) {
    const room = kinds[panel.type];
    if (!room) throw new Error(`${name}: panel "${panel.title}" is of type ${panel.type}, which this check does not know`);
    lines.push(`export const panel${panel.id}: d.Panel = ${JSON.stringify(panel)};`);
    lines.push(`export const options${panel.id}: Partial<${room}.Options> = ${JSON.stringify(panel.options)};`);
    const custom = panel.fieldConfig.defaults.custom;
    if (custom) lines.push(`export const custom${panel.id}: Partial<${room}.FieldConfig> = ${JSON.stringify(custom)};`);
  }
  return lines.join('\n') + '\n';
}

fs.rmSync(out, { recursive: true, force: true });
copyTypes(path.join(schema, 'dist/types'), path.join(out, 'types'));
let panels = 0;
for (const file of fs.readdirSync(dashboards).filter((f) => f.endsWith('.json'))) {
  const dashboard = JSON.parse(fs.readFileSync(path.join(dashboards, file), 'utf8'));
  panels += dashboard.panels.filter((p) => p.type !== 'row').length;
  fs.writeFileSync(path.join(out, file.replace('.json', '.ts')), literalOf(file, dashboard));
}
fs.writeFileSync(path.join(out, 'tsconfig.json'), JSON.stringify({
  compilerOptions: {
    noEmit: true, strict: true, skipLibCheck: true, module: 'esnext', moduleResolution: 'bundler', target: 'es2022',
    lib: ['es2022', 'dom'], types: [], baseUrl: '.', paths: { '@grafana/schema': ['./types/index'] },
  },
  include: ['*.ts'],
}));
const tsc = require.resolve('typescript/bin/tsc');
try {
  execFileSync(process.execPath, [tsc, '-p', out], { encoding: 'utf8', stdio: 'pipe' });
} catch (error) {
  console.error(error.stdout || error.message);
  process.exit(1);
}
console.log(`${panels} panels agree with @grafana/schema`);
