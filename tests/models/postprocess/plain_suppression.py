"""Each suppression as its paper tells it, without any vector."""

import math


def iou_of(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    inter = max(width, 0) * max(height, 0)
    return inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter)


def naive_greedy(boxes, scores, groups, change):
    """``change(box, other, score)`` -> the other's new score, or None to drop it."""
    left = [[b, s, g, i] for i, (b, s, g) in enumerate(zip(boxes, scores, groups, strict=True))]
    found = []
    while left:
        best = max(left, key=lambda entry: entry[1])
        left.remove(best)
        found.append((best[3], best[1]))
        for entry in left:
            if entry[2] == best[2]:
                entry[1] = change(best[0], entry[0], entry[1])
        left = [entry for entry in left if entry[1] is not None]
    return found


def diou_of(a, b):
    centre = [((x[0] + x[2]) / 2, (x[1] + x[3]) / 2) for x in (a, b)]
    between = (centre[0][0] - centre[1][0]) ** 2 + (centre[0][1] - centre[1][1]) ** 2
    corners = (max(a[2], b[2]) - min(a[0], b[0])) ** 2 + (max(a[3], b[3]) - min(a[1], b[1])) ** 2
    return iou_of(a, b) - between / corners


CHANGES = {
    "nms": lambda a, b, score: None if iou_of(a, b) > 0.5 else score,
    "diou": lambda a, b, score: None if diou_of(a, b) > 0.4 else score,
    "linear": lambda a, b, score: score * (1 - iou_of(a, b)) if iou_of(a, b) > 0.3 else score,
    "gaussian": lambda a, b, score: score * math.exp(-(iou_of(a, b) ** 2) / 0.5),
}


def naive_wbf(boxes, scores, groups, threshold, num_views):
    """Solovyev et al., section 3, steps 1 to 7."""
    clusters = []  # [group, members, mean box]
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        rivals = [cluster for cluster in clusters if cluster[0] == groups[i]]
        best = max(rivals, key=lambda cluster: iou_of(cluster[2], boxes[i]), default=None)
        if best is None or iou_of(best[2], boxes[i]) <= threshold:
            best = [groups[i], [], None]
            clusters.append(best)
        best[1].append(i)
        total = sum(scores[j] for j in best[1])
        best[2] = [sum(scores[j] * boxes[j][k] for j in best[1]) / total for k in range(4)]
    found = []
    for _, members, box in clusters:
        mean = sum(scores[j] for j in members) / len(members)
        found.append((mean * min(len(members), num_views) / num_views, box, members[0]))
    return sorted(found, key=lambda entry: -entry[0])
