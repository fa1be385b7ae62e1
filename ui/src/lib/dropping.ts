/** What if a file is dropped where nobody takes it? A browser opens it, and the page is gone. */

/** Whether it is files that are dragged, and not words. */
export function dragsFiles({ dataTransfer }: DragEvent): boolean {
  return dataTransfer?.types.includes('Files') ?? false;
}

/** From now on nothing happens then, as the pointer shows. */
export function noDropLeaves(): void {
  const stop = (event: DragEvent) => {
    if (event.defaultPrevented || !dragsFiles(event)) return;
    if ((event.target as Element).closest?.('input[type=file]')) return;
    event.preventDefault();
    event.dataTransfer!.dropEffect = 'none';
  };
  addEventListener('dragover', stop);
  addEventListener('drop', stop);
}
