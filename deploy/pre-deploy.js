// Runs before `s deploy`: checks the configuration with the program that is deployed, builds its package unless PACKAGE names
// one, and deploys base.yaml. An argument NAME=VALUE goes into the environment; HAS_NAME says that the secret store of `s` has NAME.
const { spawnSync } = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');
const zlib = require('zlib');

const windows = process.platform === 'win32';

// Secrets themselves stay in the store: here it counts only whether they are there. One in .env would be printed by `s`.
const secrets = ['OCR_APP_SECRET', 'OCR_APP_CODE'];
for (const name of secrets) delete process.env[name];
for (const argument of process.argv.slice(2)) {
  const at = argument.indexOf('=');
  if (at > 0) process.env[argument.slice(0, at)] = argument.slice(at + 1);
  else if (secrets.includes(argument.slice('HAS_'.length))) process.env[argument.slice('HAS_'.length)] = 'in-the-secret-store-of-s';
}

const has = (command) => spawnSync(command, ['version'], { shell: windows }).status === 0;

function run(command, ...args) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', shell: windows });
  if (error) fail(`${command} cannot be started: ${error.message}`);
  if (status !== 0) process.exit(1);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

// unpack returns the file "main" of a zip archive, as PKWARE's APPNOTE describes one.
function unpack(archive) {
  const zip = fs.readFileSync(archive);
  const end = zip.lastIndexOf('PK\x05\x06', undefined, 'latin1');
  if (end < 0) fail(`${archive} is no zip archive`);
  for (let i = 0, entry = zip.readUInt32LE(end + 16); i < zip.readUInt16LE(end + 10); i++) {
    const [method, size, name, extra, comment, local] = [zip.readUInt16LE(entry + 10), zip.readUInt32LE(entry + 20), zip.readUInt16LE(entry + 28),
      zip.readUInt16LE(entry + 30), zip.readUInt16LE(entry + 32), zip.readUInt32LE(entry + 42)];
    if (zip.toString('utf8', entry + 46, entry + 46 + name) === 'main') {
      const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
      const content = zip.subarray(start, start + size);
      return method === 0 ? content : zlib.inflateRawSync(content);
    }
    entry += 46 + name + extra + comment;
  }
  fail(`${archive} holds no file called main: it is not the package of this project`);
}

const archive = process.env.PACKAGE;
const go = fs.existsSync('go.mod') && has('go');
if (!archive && !go) fail('There is neither a package nor Go to build one: download fc-idcard-ocr.zip of a release, and put PACKAGE=./fc-idcard-ocr.zip into .env.');
if (archive && !archive.startsWith('https://') && !fs.existsSync(archive)) fail(`PACKAGE names ${archive}, which does not exist.`);

const check = () => {
  if (go) return spawnSync('go', ['run', '.', '-check'], { stdio: 'inherit', shell: windows }).status;
  if (`${process.platform}-${process.arch}` !== 'linux-x64' || archive.startsWith('https://')) {
    const { status, error } = spawnSync('ocrctl', ['check'], { stdio: 'inherit' });
    if (!error) return status;
    console.log('The configuration is not checked: the package runs on Linux on x86-64 only, and there is neither ocrctl in the PATH nor Go.');
    return 0;
  }
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fc-idcard-ocr-'));
  try {
    const program = path.join(folder, 'main');
    fs.writeFileSync(program, unpack(archive), { mode: 0o700 });
    return spawnSync(program, ['-check'], { stdio: 'inherit' }).status;
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
};
if (check() !== 0) {
  const missing = secrets.every((name) => !process.env[name]);
  fail('Nothing was deployed. Values come from .env' + (missing ? ', secrets from the store of s: s secret add --key OCR_APP_SECRET --value YOUR-APPSECRET' : '') + '.');
}
if (!archive) run('go', 'run', './deploy/pack');
if (process.env.BASE !== 'false') run('s', 'deploy', '-y', '-t', path.join('deploy', 'base.yaml'), ...(process.env.ACCESS ? ['-a', process.env.ACCESS] : []));
