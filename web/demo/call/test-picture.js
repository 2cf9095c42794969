/** A picture and a tone that need no camera: who it is, a clock that runs, something that moves, and a soft note now and then. */

const [WIDTH, HEIGHT, RATE] = [640, 360, 12];
/** Hertz, a pentatonic scale: three of them at once do not hurt. */
const NOTES = [262, 294, 330, 392, 440, 523];
const NOTE_INTERVAL = 3;
const LOUDNESS = 0.05;
/** In degrees: names that are much alike get colours that are not. */
const GOLDEN_ANGLE = 137.508;

/** @param {string} text */
function numberOf(text) {
  let sum = 0;
  for (const sign of text) sum = (sum * 31 + (sign.codePointAt(0) ?? 0)) % 9973;
  return sum;
}

/**
 * A colour of one's own, as a hue.
 *
 * @param {string} name
 */
export const hueOf = (name) => Math.round(numberOf(name) * GOLDEN_ANGLE) % 360;

/**
 * A picture that moves.
 *
 * @param {() => string} name whose it is, as it is now
 * @returns {{ track: MediaStreamTrack, close: () => void }}
 */
export function testPicture(name) {
  const canvas = Object.assign(document.createElement("canvas"), { width: WIDTH, height: HEIGHT });
  const pencil = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
  const draw = () => drawPicture(pencil, name() || "You");
  draw();
  // Not by animation frames, which a tab that is covered does not have.
  const timer = setInterval(draw, 1000 / RATE);
  const [track] = canvas.captureStream(RATE).getVideoTracks();
  return {
    track: /** @type {MediaStreamTrack} */ (track),
    close() {
      clearInterval(timer);
      track?.stop();
    },
  };
}

/**
 * @param {CanvasRenderingContext2D} pencil
 * @param {string} name
 */
function drawPicture(pencil, name) {
  const now = new Date();
  const seconds = now.getSeconds() + now.getMilliseconds() / 1000;
  const hue = hueOf(name);
  const ground = pencil.createLinearGradient(0, 0, WIDTH, HEIGHT);
  ground.addColorStop(0, `hsl(${hue} 55% 32%)`);
  ground.addColorStop(1, `hsl(${(hue + 45) % 360} 60% 20%)`);
  pencil.fillStyle = ground;
  pencil.fillRect(0, 0, WIDTH, HEIGHT);

  // Circles that go round, one of them a hand of seconds.
  const [x, y] = [WIDTH / 2, HEIGHT * 0.47];
  for (const [radius, turn, size] of [[150, 60, 9], [128, 8, 6], [106, -5, 4]]) {
    const angle = (2 * Math.PI * seconds) / /** @type {number} */ (turn) - Math.PI / 2;
    pencil.strokeStyle = "rgb(255 255 255 / 18%)";
    pencil.lineWidth = 2;
    pencil.beginPath();
    pencil.arc(x, y, /** @type {number} */ (radius), 0, 2 * Math.PI);
    pencil.stroke();
    pencil.fillStyle = `hsl(${hue} 90% 82%)`;
    pencil.beginPath();
    pencil.arc(x + Math.cos(angle) * /** @type {number} */ (radius), y + Math.sin(angle) * /** @type {number} */ (radius), /** @type {number} */ (size), 0, 2 * Math.PI);
    pencil.fill();
  }
  pencil.textAlign = "center";
  pencil.textBaseline = "middle";
  pencil.fillStyle = "white";
  pencil.font = `700 ${name.length > 9 ? 30 : 46}px system-ui, sans-serif`;
  pencil.fillText(name, x, y - 22, 190);
  pencil.font = "500 32px ui-monospace, monospace";
  pencil.fillText(now.toTimeString().slice(0, 8), x, y + 26);
}

/**
 * A note every few seconds, another one for each name.
 *
 * @param {() => string} name
 * @returns {{ track: MediaStreamTrack, close: () => void }}
 */
export function testTone(name) {
  const context = new AudioContext();
  const output = context.createMediaStreamDestination();
  const oscillator = context.createOscillator();
  const loudness = context.createGain();
  loudness.gain.value = 0;
  oscillator.connect(loudness).connect(output);
  oscillator.start();
  const play = () => {
    const now = context.currentTime;
    oscillator.frequency.setValueAtTime(/** @type {number} */ (NOTES[numberOf(name()) % NOTES.length]), now);
    loudness.gain.setTargetAtTime(LOUDNESS, now, 0.02);
    loudness.gain.setTargetAtTime(0, now + 0.25, 0.12);
  };
  const timer = setInterval(play, NOTE_INTERVAL * 1000);
  // A page makes no sound before somebody has touched it.
  const wake = () => void context.resume();
  for (const event of ["pointerdown", "keydown"]) addEventListener(event, wake, { once: true });
  const [track] = output.stream.getAudioTracks();
  return {
    track: /** @type {MediaStreamTrack} */ (track),
    close() {
      clearInterval(timer);
      for (const event of ["pointerdown", "keydown"]) removeEventListener(event, wake);
      track?.stop();
      void context.close();
    },
  };
}
