// The viewer: 2D input and two predictions on canvases that share one frame and one point of view.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("viewer-data").textContent);
  if (!data || !data.clips.length) return;

  const element = (id) => document.getElementById(id);
  const canvases = { screen: element("screen"), before: element("before"), after: element("after") };
  const slider = element("frame");
  const joints = data.joints.length;
  const FRAMES_PER_SECOND = 15; // of clips whose rate nobody knows
  const START = { yaw: -0.5, pitch: -0.18 };
  const state = { clip: 0, frame: 0, first: data.source, model: data.chosen, ...START, playing: false, ghost: false };

  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const numbers = (text, scale) => {
    const view = new DataView(bytes(text).buffer);
    return Float32Array.from({ length: view.byteLength / 2 }, (_, at) => view.getInt16(2 * at, true) / scale);
  };
  const screen = numbers(data.screen, data.scale.screen);
  const seen = bytes(data.seen);
  const valid = data.valid ? bytes(data.valid) : null;
  const lifted = Object.fromEntries(
    Object.entries(data.lifted).map(([model, text]) => [model, numbers(text, data.scale.space)]),
  );

  const left = new Set(data.left);
  const right = new Set(data.right);
  const sideOf = (joint) => (left.has(joint) ? "left" : right.has(joint) ? "right" : "middle");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const colourOf = (model) => colour(`arm-${model}`) || colour("muted");
  const mark = (id, model) => {
    element(id).style.color = `var(--arm-${CSS.escape(model)}, var(--muted))`;
  };

  const row = () => data.clips[state.clip].start + state.frame;
  const point2 = (at, joint) => [screen[2 * (at * joints + joint)], screen[2 * (at * joints + joint) + 1]];
  const point3 = (model, at, joint) => {
    const first = 3 * (at * joints + joint);
    const pose = lifted[model];
    return [pose[first], pose[first + 1], pose[first + 2]];
  };
  // A rotation stands people up where their upward direction is known; the others stay in camera axes.
  const turnOf = (model) => data.clips[state.clip].turn[model];
  const upright = (turn, [x, y, z]) =>
    turn ? [0, 3, 6].map((row) => turn[row] * x + turn[row + 1] * y + turn[row + 2] * z) : [x, y, z];
  const isValid = (at) => valid === null || valid[at] > 0;
  const firstValid = () => {
    const { start, frames } = data.clips[state.clip];
    const at = Array.from({ length: frames }, (_, frame) => frame).find((frame) => isValid(start + frame));
    return at ?? 0;
  };
  const madeUp = new Set(data.made_up); // no detector sees these, so they are neither seen nor unseen
  const isSeen = (at, joint) => seen[at * joints + joint] > 0;
  const isShown = (at, joint) => data.placed || isSeen(at, joint); // unseen joints may have no place in 2D

  const eachOfClip = (act) => {
    const clip = data.clips[state.clip];
    for (let at = clip.start; at < clip.start + clip.frames; at++) {
      if (isValid(at)) for (let j = 0; j < joints; j++) act(at, j);
    }
  };

  // Extents are those of the whole clip, so that nothing breathes while it plays.
  let reach = { middle: 0, high: 0.9, wide: 0.9, floor: 0.9, picture: [0, 0, 1, 1], people: [0, 0, 1, 1] };
  const measure = () => {
    let wide = 0.2;
    let top = Infinity;
    let bottom = -Infinity;
    let floor = -Infinity;
    let box = [Infinity, Infinity, -Infinity, -Infinity];
    eachOfClip((at, joint) => {
      for (const model of [state.first, state.model]) {
        const turn = turnOf(model);
        const [x, y, z] = upright(turn, point3(model, at, joint));
        wide = Math.max(wide, Math.hypot(x, z));
        top = Math.min(top, y);
        bottom = Math.max(bottom, y);
        if (turn) floor = Math.max(floor, y);
      }
      if (!isShown(at, joint)) return;
      const [u, v] = point2(at, joint);
      box = [Math.min(box[0], u), Math.min(box[1], v), Math.max(box[2], u), Math.max(box[3], v)];
    });
    if (!Number.isFinite(box[0])) box = [-1, -1, 1, 1];
    const aspect = data.clips[state.clip].aspect;
    const high = aspect || Math.max(1, Math.abs(box[1]), Math.abs(box[3]));
    const picture = [Math.min(-1, box[0]), Math.min(-high, box[1]), Math.max(1, box[2]), Math.max(high, box[3])];
    const margin = 0.15 * Math.max(box[2] - box[0], box[3] - box[1], 0.05);
    const people = [box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin];
    if (!Number.isFinite(top)) [top, bottom] = [-0.9, 0.9];
    const [middle, tall] = [(top + bottom) / 2, Math.max((bottom - top) / 2, 0.2)];
    reach = { middle, high: tall, wide, floor, picture, people };
  };

  const prepare = (canvas) => {
    if (!canvas.offsetParent) return null; // hidden where there is nothing to compare
    const ratio = window.devicePixelRatio || 1;
    const { width, height } = canvas.getBoundingClientRect();
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.lineCap = "round";
    pen.lineJoin = "round";
    return { pen, width, height };
  };

  const line = (pen, from, to, width, stroke) => {
    pen.strokeStyle = stroke;
    pen.lineWidth = width;
    pen.beginPath();
    pen.moveTo(from[0], from[1]);
    pen.lineTo(to[0], to[1]);
    pen.stroke();
  };
  const dot = (pen, at, radius, fill) => {
    pen.fillStyle = fill;
    pen.beginPath();
    pen.arc(at[0], at[1], radius, 0, 2 * Math.PI);
    pen.fill();
  };

  const ring = (pen, at, radius) => {
    dot(pen, at, radius + 1, colour("ink"));
    dot(pen, at, radius - 0.4, colour("panel"));
  };

  const drawScreen = () => {
    const { pen, width, height } = prepare(canvases.screen);
    const [x0, y0, x1, y1] = element("closer").checked ? reach.people : reach.picture;
    const scale = Math.min((width - 16) / (x1 - x0), (height - 16) / (y1 - y0));
    const place = ([u, v]) => [
      width / 2 + (u - (x0 + x1) / 2) * scale,
      height / 2 + (v - (y0 + y1) / 2) * scale,
    ];
    const aspect = data.clips[state.clip].aspect;
    if (aspect) {
      const [a, b] = [place([-1, -aspect]), place([1, aspect])];
      pen.fillStyle = colour("picture");
      pen.fillRect(a[0], a[1], b[0] - a[0], b[1] - a[1]);
      pen.strokeStyle = colour("rule");
      pen.lineWidth = 1;
      pen.strokeRect(a[0], a[1], b[0] - a[0], b[1] - a[1]);
    }
    const at = row();
    if (!isValid(at)) {
      element("gaps").textContent = "· a gap";
      return;
    }
    const shown = (joint) => isShown(at, joint);
    data.parents.forEach((parent, joint) => {
      if (parent < 0 || !shown(joint) || !shown(parent)) return;
      const thickness = isSeen(at, joint) && isSeen(at, parent) ? 3 : 1;
      line(pen, place(point2(at, parent)), place(point2(at, joint)), thickness, colour(`side-${sideOf(joint)}`));
    });
    let hidden = 0;
    for (let joint = 0; joint < joints; joint++) {
      if (!isSeen(at, joint) && !madeUp.has(joint)) hidden++;
      if (isSeen(at, joint)) dot(pen, place(point2(at, joint)), 2.6, colour("ink"));
      else if (shown(joint)) ring(pen, place(point2(at, joint)), 2.6);
    }
    element("gaps").textContent = hidden ? `· ${hidden} of ${joints - madeUp.size} joints unseen` : "";
  };

  // Camera axes are x right, y down, z forward; the body turns about its root.
  const turned = ([x, y, z]) => {
    const [cy, sy, cp, sp] = [Math.cos(state.yaw), Math.sin(state.yaw), Math.cos(state.pitch), Math.sin(state.pitch)];
    const [a, c] = [cy * x + sy * z, -sy * x + cy * z];
    return [a, cp * y + sp * c, -sp * y + cp * c];
  };

  const drawBody = (canvas, layers) => {
    const sheet = prepare(canvas);
    if (!sheet) return;
    const { pen, width, height } = sheet;
    const scale = Math.min((0.42 * height) / reach.high, (0.46 * width) / reach.wide);
    const body = Math.max(reach.high, reach.wide);
    const distance = 5 * body;
    const place = (point) => {
      const [x, y, z] = turned([point[0], point[1] - reach.middle, point[2]]);
      const near = distance / (distance + z);
      return [width / 2 + x * scale * near, height / 2 + y * scale * near, z, near];
    };
    // A model that is drawn beneath another is turned like it: between them lies what they lift differently.
    const turn = turnOf(layers[layers.length - 1].model);
    const extent = 1.1 * body;
    for (let k = -4; turn && k <= 4; k++) {
      const offset = (k / 4) * extent;
      const rule = colour("floor");
      line(pen, place([offset, reach.floor, -extent]), place([offset, reach.floor, extent]), 1, rule);
      line(pen, place([-extent, reach.floor, offset]), place([extent, reach.floor, offset]), 1, rule);
    }
    const at = row();
    if (!isValid(at)) return;
    for (const { model, faint } of layers) {
      const joint = (j) => place(upright(turn, point3(model, at, j)));
      const bones = data.parents
        .map((parent, child) => ({ parent, child }))
        .filter(({ parent }) => parent >= 0)
        .map(({ parent, child }) => ({
          from: joint(parent), to: joint(child), ends: [parent, child], side: sideOf(child),
        }))
        .sort((one, other) => other.from[2] + other.to[2] - one.from[2] - one.to[2]);
      pen.globalAlpha = faint ? 0.35 : 1;
      for (const { from, to, ends, side } of bones) {
        const thickness = (faint ? 3 : 4.2) * from[3];
        line(pen, from, to, thickness + 2.4, colour("panel"));
        line(pen, from, to, thickness, faint ? colourOf(model) : colour(`side-${side}`));
        if (!faint) {
          [from, to].forEach((end, k) => {
            if (isSeen(at, ends[k])) dot(pen, end, 2.6 * end[3], colour("ink"));
            else ring(pen, end, 2.6 * end[3]);
          });
        }
      }
      pen.globalAlpha = 1;
    }
  };

  const apart = (at) => {
    let sum = 0;
    for (let j = 0; j < joints; j++) {
      const [a, b] = [point3(state.first, at, j), point3(state.model, at, j)];
      sum += Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
    }
    return (1000 * sum) / joints;
  };

  const drawTimeline = () => {
    const clip = data.clips[state.clip];
    const values = Array.from({ length: clip.frames }, (_, frame) => apart(clip.start + frame));
    const top = Math.max(...values, 1);
    const last = Math.max(clip.frames - 1, 1);
    const way = values.map((value, frame) => `${(100 * frame) / last} ${20 - (18 * value) / top}`).join("L");
    element("apart-line").firstElementChild.setAttribute("d", `M0 20L${way}L100 20Z`);
  };

  const draw = () => {
    drawScreen();
    drawBody(canvases.before, [{ model: state.first, faint: false }]);
    const layers = [{ model: state.model, faint: false }];
    if (state.ghost) layers.unshift({ model: state.first, faint: true });
    drawBody(canvases.after, layers);
    const clip = data.clips[state.clip];
    const time = clip.rate ? ` · ${(state.frame / clip.rate).toFixed(2)} s` : "";
    element("count").textContent = `${state.frame + 1} / ${clip.frames}${time}`;
    element("apart").textContent = `${apart(row()).toFixed(0)} mm apart in this frame`;
  };

  const nameOf = (model) => (model === data.source && data.models.length > 1 ? `${model} (source model)` : model);
  const choose = () => {
    const clip = data.clips[state.clip];
    slider.max = String(clip.frames - 1);
    state.frame = Math.min(state.frame, clip.frames - 1);
    slider.value = String(state.frame);
    mark("before-swatch", state.first);
    mark("after-swatch", state.model);
    element("before-name").textContent = nameOf(state.first);
    element("picture").textContent = [
      clip.size ? `· ${clip.size[0]} x ${clip.size[1]} pixels` : "",
      clip.rate ? `· ${Number(clip.rate.toFixed(2))} frames a second${clip.rate_assumed ? ", assumed" : ""}` : "",
    ].join(" ");
    element("after-name").textContent = nameOf(state.model);
    const inOrder = "Rows of this clip are not successive frames of one camera: step through them one by one.";
    const unknown = data.models.filter((model) => !clip.turn[model]);
    const leaning = `Which way is up is unknown for ${unknown.join(", ")}: there is no floor, and the camera counts as level.`;
    element("order").textContent = [clip.in_order ? "" : inOrder, unknown.length ? leaning : ""].join(" ").trim();
    measure();
    drawTimeline();
    draw();
  };

  const fill = (select, entries) => {
    for (const [value, text] of entries) {
      const option = document.createElement("option");
      option.value = value;
      option.textContent = text;
      select.append(option);
    }
  };
  fill(element("clip"), data.clips.map((clip, at) => [String(at), clip.name ?? String(clip.clip)]));
  for (const id of ["first", "model"]) {
    fill(element(id), data.models.map((model) => [model, model]));
    element(id).value = state[id];
  }
  element("viewer").classList.toggle("alone", data.models.length === 1);

  element("clip").addEventListener("change", (event) => {
    state.clip = Number(event.target.value);
    state.frame = firstValid();
    choose();
  });
  for (const id of ["first", "model"]) {
    element(id).addEventListener("change", (event) => {
      state[id] = event.target.value;
      choose();
    });
  }
  element("closer").addEventListener("change", draw);
  element("ghost").addEventListener("change", (event) => {
    state.ghost = event.target.checked;
    draw();
  });
  slider.addEventListener("input", () => {
    state.frame = Number(slider.value);
    draw();
  });

  let began = 0;
  const tick = (now) => {
    if (!state.playing) return;
    const { frames, rate } = data.clips[state.clip];
    // Screens draw at a rate of their own: frames that are due together are passed over.
    const due = Math.floor(((now - began) * (rate || FRAMES_PER_SECOND)) / 1000);
    if (due > 0) {
      began = due > frames ? now : began + (1000 * due) / (rate || FRAMES_PER_SECOND);
      state.frame = (state.frame + due) % frames;
      slider.value = String(state.frame);
      draw();
    }
    requestAnimationFrame(tick);
  };
  element("play").addEventListener("click", (event) => {
    state.playing = !state.playing;
    event.target.textContent = state.playing ? "❚❚" : "▶";
    event.target.setAttribute("aria-label", state.playing ? "Pause" : "Play");
    began = performance.now();
    if (state.playing) requestAnimationFrame(tick);
  });

  const turn = (yaw, pitch) => {
    state.yaw += yaw;
    state.pitch = Math.max(-1.5, Math.min(1.5, state.pitch + pitch));
    draw();
  };
  for (const canvas of [canvases.before, canvases.after]) {
    let held = null;
    canvas.addEventListener("pointerdown", (event) => {
      held = [event.clientX, event.clientY];
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!held) return;
      turn((event.clientX - held[0]) * 0.01, (held[1] - event.clientY) * 0.01);
      held = [event.clientX, event.clientY];
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (held = null));
    canvas.addEventListener("dblclick", () => {
      Object.assign(state, START);
      draw();
    });
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[event.key];
      if (!step) return;
      event.preventDefault();
      turn(...step);
    });
  }

  new ResizeObserver(draw).observe(canvases.before);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  state.frame = firstValid();
  choose();
})();
