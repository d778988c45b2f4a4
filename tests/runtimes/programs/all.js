const { Worker, isMainThread, workerData, parentPort } = require('worker_threads');
const { randomBytes } = require('crypto');
const { spawnSync } = require('child_process');

const part = (first) => new Promise((resolve, reject) => {
  const worker = new Worker(__filename, { workerData: first });
  worker.on('message', resolve);
  worker.on('error', reject);
});

async function main() {
  const parts = await Promise.all([0, 1, 2, 3].map(part));
  console.log('threads', parts.reduce((a, b) => a + b));
  console.log('locale', 'äöü'.toLocaleUpperCase(), new Intl.NumberFormat('de-DE').format(1234567.5));
  const before = process.hrtime.bigint();
  await new Promise((resolve) => setTimeout(resolve, 10));
  if (process.hrtime.bigint() - before >= 9000000n && new Date().getFullYear() >= 2024) console.log('time passes');
  if (!randomBytes(16).equals(randomBytes(16))) console.log('random differs');
  if (process.argv.length > 2) return;
  const child = spawnSync('/bin/sh', ['-c', 'exit 7']);
  console.log('subprocess', child.error ? 'refused' : child.status);
}

if (isMainThread) {
  main();
} else {
  let sum = 0;
  for (let i = workerData; i < 100; i += 4) sum += i;
  parentPort.postMessage(sum);
}
