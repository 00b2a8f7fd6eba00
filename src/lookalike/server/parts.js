// What the pages have in common.
export const find = (id) => document.getElementById(id);

export const make = (tag, properties, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

export const ask = async (address, options) => {
  let response;
  try {
    response = await fetch(address, options);
  } catch {
    throw new Error("the server does not answer: is it still running?");
  }
  const answer = await response.json().catch(() => ({ error: `the server answers ${response.status}` }));
  if (!response.ok) throw new Error(answer.error);
  return answer;
};

// A picture's loading is lazy where there may be very many.
export const picture = (image, loading = "eager") =>
  image.picture
    ? make("img", { loading, src: `/api/images/${image.number}`, alt: "", width: 256, height: 256 })
    : make("span", { className: "gone", textContent: "no picture" });
