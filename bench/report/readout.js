// Says what a plot shows below the pointer. Without it, nothing is missing but this.
for (const plot of document.querySelectorAll('svg.plot')) {
  const readings = JSON.parse(plot.dataset.read)
  const cursor = plot.querySelector('.cursor')
  const output = plot.closest('figure').querySelector('output')
  plot.addEventListener('pointermove', ({ clientX }) => {
    const { left, width } = plot.getBoundingClientRect()
    const x = (clientX - left) / width
    const distance = ([place]) => Math.abs(place - x)
    const [place, text] = readings.reduce((best, one) =>
      distance(one) < distance(best) ? one : best,
    )
    cursor.setAttribute('x1', `${place * 100}%`)
    cursor.setAttribute('x2', `${place * 100}%`)
    cursor.classList.add('shown')
    output.textContent = text
  })
  plot.addEventListener('pointerleave', () => {
    cursor.classList.remove('shown')
    output.textContent = ''
  })
}
